"""Drives the official Python SDK of product ICE, 6.x or 1.x: a line of JSON in, a line of JSON out.

{"settings": {"endpoint": "127.0.0.1:8080", "access_key_id": "...", "access_key_secret": "..."},
 "action": "GetSnapshotJob", "parameters": {"JobId": "..."}, "queries": {}}
{"documented": "GetSnapshotJob"} asks for what the SDK knows of an action's answer; null: it does not know the action
{"program": "...", "environment": {...}} runs a program, and gets what it prints
"""

import contextlib
import functools
import io
import json
import os
import re
import sys
from typing import Any, get_args, get_origin, get_type_hints

from alibabacloud_ice20201109 import models
from alibabacloud_ice20201109.client import Client
from alibabacloud_tea_openapi import models as open_api
from alibabacloud_tea_util import models as util


def call(client: Client, action: str, parameters: dict[str, Any], queries: dict[str, str]) -> Any:
    runtime = util.RuntimeOptions(extends_parameters=util.ExtendsParameters(queries=queries))
    method = re.sub("(?<!^)(?=[A-Z])", "_", action).lower()
    if hasattr(client, f"{method}_with_options"):
        # an action without parameters has no model of them
        model = getattr(models, f"{action}Request", None)
        requests = [model().from_map(parameters)] if model is not None else []
        return getattr(client, f"{method}_with_options")(*requests, runtime).body.to_map()
    # actions that the SDK does not know go through its general call
    about = open_api.Params(
        action=action,
        version="2020-11-09",
        protocol="HTTP",
        pathname="/",
        method="POST",
        auth_type="AK",
        style="RPC",
        req_body_type="formData",
        body_type="json",
    )
    query = {name: item if isinstance(item, str) else json.dumps(item) for name, item in parameters.items()}
    return client.call_api(about, open_api.OpenApiRequest(query=query), runtime)["body"]


def filled(kind: Any) -> Any:
    """A model in which every field has the name of its type in JSON, or for a type that name itself."""
    if get_origin(kind) is list:
        return [filled(get_args(kind)[0])]
    if hasattr(kind, "to_map"):
        hints = get_type_hints(kind.__init__, vars(sys.modules[kind.__module__]))
        return kind(**{name: filled(hint) for name, hint in hints.items()})
    return {str: "string", int: "integer", bool: "boolean", float: "number"}.get(kind, "object")


def printed(program: str, environment: dict[str, str]) -> str:
    os.environ.update(environment)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(program, {"__name__": "__main__"})
    return out.getvalue()


@functools.cache
def client_of(settings: str) -> Client:
    return Client(open_api.Config(protocol="http", region_id="cn-shanghai", **json.loads(settings)))


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        if "documented" in order:
            model = getattr(models, f"{order['documented']}ResponseBody", None)
            print(json.dumps({"answer": model and filled(model).to_map()}), flush=True)
            continue
        try:
            if "program" in order:
                print(json.dumps({"answer": printed(order["program"], order["environment"])}), flush=True)
                continue
            client = client_of(json.dumps(order["settings"]))
            answer = call(client, order["action"], order["parameters"], order["queries"])
            print(json.dumps({"answer": answer}), flush=True)
        except Exception as error:
            told = {
                "type": type(error).__name__,
                "code": getattr(error, "code", None),
                "message": str(getattr(error, "message", error)),
                "status": getattr(error, "status_code", None) or getattr(error, "statusCode", None),
                "retry_after": getattr(error, "retry_after", None),
                "detail": getattr(error, "access_denied_detail", None),
            }
            print(json.dumps({"error": told}), flush=True)


main()
