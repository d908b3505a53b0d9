"""The verbs as Python functions: what joins several packages, a file a verb; `import eyespot` names them."""
