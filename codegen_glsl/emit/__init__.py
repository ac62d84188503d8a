"""A legal kernel -> the text of one GLSL ES 3.00 fragment shader."""
