"""What the agent leaves out, in a fresh interpreter: this one has imported everything already."""

import json
import subprocess
import sys
from typing import Any

COUNT = """
import json, ssl, sys
from edge_agent.main.lean import import_http_client
client = import_http_client()
context = client.connector._SSL_CONTEXT_VERIFIED
print(json.dumps({
    "default": context.cert_store_stats()["x509"],
    "checks": context.check_hostname and context.verify_mode == ssl.CERT_REQUIRED,
    "later": ssl.SSLContext.load_default_certs.__name__,
    "client": client.__name__,
}))
"""


def in_fresh_interpreter(code: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    return found


def test_the_http_client_comes_without_the_systems_authorities() -> None:
    assert in_fresh_interpreter(COUNT) == {"default": 0, "checks": True, "later": "load_default_certs", "client": "aiohttp"}


def test_a_client_that_cannot_be_imported_leaves_tls_as_it_was() -> None:
    code = """
import json, ssl, sys
sys.modules["aiohttp"] = None
from edge_agent.main.lean import import_http_client
try:
    import_http_client()
except ImportError as error:
    print(json.dumps({"error": "aiohttp" in str(error), "later": ssl.SSLContext.load_default_certs.__name__}))
"""
    assert in_fresh_interpreter(code) == {"error": True, "later": "load_default_certs"}
