"""Drives aliyun-python-sdk-core by CommonRequest: a line of JSON in, a line of JSON out.

{"settings": {"endpoint": "127.0.0.1:8080", "access_key_id": "...", "access_key_secret": "..."},
 "action": "GetSnapshotJob", "parameters": {"JobId": "..."}, "queries": {}, "method": "POST", "where": "query"}
{"documented": "GetSnapshotJob"} is answered with null: it knows no actions
"""

import json
import sys
from typing import Any

from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException
from aliyunsdkcore.auth.credentials import StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.request import CommonRequest


def client_of(settings: dict[str, str]) -> AcsClient:
    key, secret = settings["access_key_id"], settings["access_key_secret"]
    if token := settings.get("security_token"):
        return AcsClient(region_id="cn-shanghai", credential=StsTokenCredential(key, secret, token))
    return AcsClient(key, secret, "cn-shanghai")


def call(order: dict[str, Any]) -> Any:
    client = client_of(order["settings"])
    request = CommonRequest()
    request.set_domain(order["settings"]["endpoint"])
    request.set_protocol_type("http")
    request.set_version("2020-11-09")
    request.set_action_name(order["action"])
    request.set_method(order.get("method", "POST"))
    for name, value in {**order["parameters"], **order["queries"]}.items():
        text = value if isinstance(value, str) else json.dumps(value)
        if order.get("where") == "form":
            request.add_body_params(name, text)
        else:
            request.add_query_param(name, text)
    return json.loads(client.do_action_with_exception(request))


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = None if "documented" in order else call(order)
            print(json.dumps({"answer": answer}), flush=True)
        except ServerException as error:
            told = {
                "type": "ServerException",
                "code": error.get_error_code(),
                "message": error.get_error_msg(),
                "status": error.get_http_status(),
            }
            print(json.dumps({"error": told}), flush=True)
        except ClientException as error:
            told = {
                "type": "ClientException",
                "code": error.get_error_code(),
                "message": error.get_error_msg(),
            }
            print(json.dumps({"error": told}), flush=True)


main()
