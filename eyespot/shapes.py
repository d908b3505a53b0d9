"""Array types with their element type and shape: `UInt8[np.ndarray, "n height width channels"]`.

Annotations are checked by the tests, which import jaxtyping before anything of eyespot; a user's process does not
need it, and a prediction from a cold start would pay a tenth of its time for it.
"""

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float32, Float64, Int64, Shaped, UInt8
else:

    class _Unchecked:
        """Stands for the array type alone: `_Unchecked[array, shape]` is `array`."""

        def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
            return item[0]

    Bool = Float32 = Float64 = Int64 = Shaped = UInt8 = _Unchecked

__all__ = ["Bool", "Float32", "Float64", "Int64", "Shaped", "UInt8"]
