"""The domain of an address that was given without one.

INDIMAIL_DOMAIN, else DEFAULT_DOMAIN, else control/defaultdomain, else control/me.

Source: spec/delivery.md 0 (DEFAULT_DOMAIN), 2 (common rules).
"""

from indimail.control.files import read_control
from indimail.manage.site import Site


def default_domain(site: Site) -> str:
    """Return the domain of an address without one."""
    for variable in ("INDIMAIL_DOMAIN", "DEFAULT_DOMAIN"):
        if site.variables.get(variable):
            return site.variables[variable].lower()
    for name in ("defaultdomain", "me"):
        first = read_control(site.control(name), f"control/{name}")[0].first
        if first is not None:
            return first.text.lower()
    return "localhost"
