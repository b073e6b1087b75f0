"""What each action answers, field by field with its type in JSON, as IMS documents it.

What only we have stands apart in `OURS_IN_ANSWERS`; what is documented and stays empty, in `EMPTY_FIELDS`.
"""

from __future__ import annotations

from typing import Any

SUMMARY = {
    "Async": "boolean",
    "Count": "integer",
    "CreateTime": "string",
    "FinishTime": "string",
    "Input": {"Media": "string", "Type": "string"},
    "JobId": "string",
    "ModifiedTime": "string",
    "Name": "string",
    "Output": {"Media": "string", "Type": "string"},
    "PipelineId": "string",
    "Status": "string",
    "SubmitTime": "string",
    "TemplateId": "string",
    "TriggerSource": "string",
    "Type": "string",
}
WITH_FILE = {
    "Media": "string",
    "Type": "string",
    "OssFile": {"Bucket": "string", "Location": "string", "Object": "string"},
}
DETAILS = SUMMARY | {
    "Input": WITH_FILE,
    "Output": WITH_FILE,
    "Code": "string",
    "Message": "string",
    "TemplateConfig": "string",
    "UserData": "string",
}
SYSTEM_TEMPLATE = {
    "Status": "string",
    "Subtype": "integer",
    "SubtypeName": "string",
    "TemplateConfig": "string",
    "TemplateId": "string",
    "TemplateName": "string",
    "Type": "integer",
    "TypeName": "string",
}
TEMPLATE = SYSTEM_TEMPLATE | {"CreateTime": "string", "IsDefault": "boolean", "ModifiedTime": "string"}
CREATED_TEMPLATE = {name: kind for name, kind in TEMPLATE.items() if name != "SubtypeName"} | {
    "Subtype": "string"
}
PIPELINE = {
    "CreateTime": "string",
    "ModifiedTime": "string",
    "Name": "string",
    "PipelineId": "string",
    "Priority": "integer",
    "Speed": "string",
    "Status": "string",
}
STORAGE = {
    "AppId": "string",
    "CreationTime": "string",
    "DefaultStorage": "boolean",
    "EditingTempFileStorage": "boolean",
    "ModifiedTime": "string",
    "Path": "string",
    "Status": "string",
    "StorageLocation": "string",
    "StorageType": "string",
}
SUCCESS = {"RequestId": "string", "Success": "boolean"}
ANSWERS: dict[str, dict[str, Any]] = {
    "SubmitSnapshotJob": {"RequestId": "string", "JobId": "string"},
    "GetSnapshotJob": {"RequestId": "string", "SnapshotJob": DETAILS},
    "ListSnapshotJobs": {"RequestId": "string", "NextPageToken": "string", "Jobs": [SUMMARY]},
    "GetSnapshotUrls": {
        "RequestId": "string",
        "SnapshotUrls": ["string"],
        "Total": "integer",
        "WebVTTUrl": "string",
    },
    "CreateCustomTemplate": {"RequestId": "string", "CustomTemplate": CREATED_TEMPLATE},
    "UpdateCustomTemplate": SUCCESS,
    "DeleteCustomTemplate": SUCCESS,
    "SetDefaultCustomTemplate": SUCCESS,
    "GetCustomTemplate": {"RequestId": "string", "CustomTemplate": TEMPLATE},
    "ListCustomTemplates": {"RequestId": "string", "Total": "integer", "CustomTemplateList": [TEMPLATE]},
    "GetSystemTemplate": {"RequestId": "string", "SystemTemplate": SYSTEM_TEMPLATE},
    "ListSystemTemplates": {
        "RequestId": "string",
        "Total": "integer",
        "SystemTemplateList": [SYSTEM_TEMPLATE],
    },
    "GetStorageList": {"RequestId": "string", "StorageInfoList": [STORAGE]},
    "GetDefaultStorageLocation": {
        "RequestId": "string",
        "Bucket": "string",
        "Path": "string",
        "Status": "string",
        "StorageType": "string",
    },
    "SetDefaultStorageLocation": SUCCESS,
    "CreatePipeline": {"RequestId": "string", "Pipeline": PIPELINE},
    "UpdatePipeline": SUCCESS,
    "DeletePipeline": SUCCESS,
    "GetPipeline": {"RequestId": "string", "Pipeline": PIPELINE},
    "ListPipelines": {"RequestId": "string", "PipelineList": [PIPELINE]},
    "SetEventCallback": SUCCESS,
    "GetEventCallback": {
        "RequestId": "string",
        "AuthKey": "string",
        "AuthSwitch": "string",
        "CallbackType": "string",
        "CallbackURL": "string",
        "EventTypeList": "string",
    },
    "CancelSnapshotJob": {"RequestId": "string", "Success": "boolean"},
    "RetrySnapshotJob": {"RequestId": "string", "Success": "boolean"},
    "DeleteSnapshotJob": {"RequestId": "string", "Success": "boolean"},
}
OURS_IN_ANSWERS: dict[str, dict[str, Any]] = {
    "GetEventCallback": {"WebhookSecret": "string"},
    "GetSnapshotJob": {"SnapshotJob": {"Progress": "integer", "Report": "object"}},
    "CreatePipeline": {"Pipeline": {"MaxConcurrency": "integer"}},
    "GetPipeline": {"Pipeline": {"MaxConcurrency": "integer"}},
    "ListPipelines": {"PipelineList": [{"MaxConcurrency": "integer"}]},
}

_TRANSCODE = "it is about transcode templates, and there are snapshot templates only"
#: documented fields that never have a value, each with the reason; a path leads through lists, and takes all below it
EMPTY_FIELDS: dict[str, dict[str, str]] = {
    "GetCustomTemplate": {"CustomTemplate.FrontendHint": _TRANSCODE},
    "ListCustomTemplates": {"CustomTemplateList.FrontendHint": _TRANSCODE},
    "GetEventCallback": {
        "CallbackQueueName": "it is of CallbackType MNS, and there is no message queue here"
    },
}
