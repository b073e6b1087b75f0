"""Which proxy a web server is to be asked through, by the variables that other programs read as well.

web_proxy(parse_web_address("https://example.com/movie.mp4"))    # of HTTPS_PROXY, unless NO_PROXY names example.com
"""

from __future__ import annotations

from urllib.request import getproxies, proxy_bypass

from stillframe.errors import ConfigError
from stillframe.storage.web_address import WebAddress, parse_web_address


def web_proxy(address: WebAddress) -> WebAddress | None:
    """The proxy's address; None for none. Raises ConfigError where a proxy is named that cannot be used."""
    proxies = getproxies()
    named = proxies.get(address.scheme) or proxies.get("all")
    if not named or proxy_bypass(address.server):
        return None
    variable = f"{address.scheme}_proxy"
    proxy = parse_web_address(named if "://" in named else f"http://{named}", variable)
    if proxy.scheme != "http":
        raise ConfigError(variable, f"{proxy.scheme}://{proxy.server}", "a proxy that is reached by http://")
    return proxy
