"""Loops for a GPU, compiled by Triton, which comes with PyTorch for CUDA.

They compute what those for the processor compute, from the same random bits. With TRITON_INTERPRET=1 they run on the
processor, slowly, which is how they are tested where there is no GPU.
"""
