"""Pages and cards in HTML and Markdown: the report, the comparison, the model card."""
