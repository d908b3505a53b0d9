"""The page people draw on: HTML, CSS and ES modules, served by `eyespot serve` and copied by exports as web.

`index.html` and the modules here are the interface. `engine.js` is what answers: here it asks the REST API, and
`local/engine.js`, which takes its place in a web export, runs the model in the browser. Nothing is built, and nothing
is fetched from another host.
"""
