"""Teams, their members and roles, API tokens; and `access`, the one module that decides who may do what."""
