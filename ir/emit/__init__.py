"""What the emitters of all targets share; how it is spelled is left to the back ends.

`scopes` says where code goes, `environment` what is known about expressions, `expressions` walks
them and remembers their values, `statements` walks the statements of a kernel.
"""
