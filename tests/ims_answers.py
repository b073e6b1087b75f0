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
AUDIO_STREAM = (
    "Bitrate ChannelLayout Channels CodecLongName CodecName CodecTag CodecTagString "
    "CodecTimeBase Duration Index Lang SampleFmt SampleRate StartTime Timebase "
)
VIDEO_STREAM = (
    "Avg_fps Bit_rate Codec_long_name Codec_name Codec_tag Codec_tag_string Codec_time_base "
    "Dar Duration Fps Has_b_frames Height Index Lang Level NumFrames PixFmt Profile Rotate "
    "Sar Start_time Time_base Width "
)
FILE = "Bitrate Duration FileName FileSize FileStatus FileType FileUrl FormatName Height MediaId Region Width"
NEW_PROBE = {
    "Async": "boolean",
    "Input": {"Media": "string", "Type": "string"},
    "JobId": "string",
    "Name": "string",
    "RequestId": "string",
    "ScheduleConfig": {"PipelineId": "string", "Priority": "integer"},
    "Status": "string",
    "SubmitResultJson": "object",
    "SubmitTime": "string",
    "TriggerSource": "string",
    "UserData": "string",
}
PROBE = NEW_PROBE | {
    "FinishTime": "string",
    "MediaInfoProperty": {
        "AudioStreamInfoList": [dict.fromkeys(AUDIO_STREAM.split(), "string")],
        "FileBasicInfo": dict.fromkeys(FILE.split(), "string"),
        "VideoStreamInfoList": [dict.fromkeys(VIDEO_STREAM.split(), "string")],
    },
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
FILE_OF_BATCH = dict.fromkeys(
    (
        *("Bitrate", "Duration", "FileName", "FileSize", "FileStatus", "FileType", "FileUrl", "FormatName"),
        *("Height", "Region", "Width"),
    ),
    "string",
)
FILE = FILE_OF_BATCH | {"CreateTime": "string", "ModifiedTime": "string"}
_STREAM = (
    *("CodecLongName", "CodecName", "CodecTag", "CodecTagString", "Duration", "Index", "Lang", "StartTime"),
    "Timebase",
)
STREAMS = {
    "AudioStreamInfoList": [
        dict.fromkeys(
            (
                *(*_STREAM, "Bitrate", "ChannelLayout", "Channels", "CodecTimeBase", "NumFrames", "Profile"),
                *("SampleFmt", "SampleRate"),
            ),
            "string",
        )
    ],
    "SubtitleStreamInfoList": [dict.fromkeys(_STREAM, "string")],
    "VideoStreamInfoList": [
        dict.fromkeys(
            (
                *(
                    *_STREAM,
                    "AvgFPS",
                    "Bitrate",
                    "CodecTimeBase",
                    "Dar",
                    "Fps",
                    "HasBFrames",
                    "Height",
                    "Level",
                ),
                *("Nb_frames", "NumFrames", "PixFmt", "Profile", "Rotate", "Sar", "Width"),
            ),
            "string",
        )
    ],
}
MEDIA_OF_BATCH = dict.fromkeys(
    (
        *("Biz", "BusinessType", "Category", "CoverURL", "CreateTime", "Description", "InputURL", "MediaId"),
        *("MediaTags", "MediaType", "ModifiedTime", "Snapshots", "Source", "SpriteImages", "Status", "Title"),
        "UserData",
    ),
    "string",
)
MEDIA = MEDIA_OF_BATCH | {"CateId": "integer", "ReferenceId": "string", "UploadSource": "string"}
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
    "SubmitMediaInfoJob": {"RequestId": "string", "MediaInfoJob": NEW_PROBE},
    "SubmitSyncMediaInfoJob": {"RequestId": "string", "MediaInfoJob": PROBE},
    "GetMediaInfoJob": {"RequestId": "string", "MediaInfoJob": PROBE},
    "ListMediaInfoJobs": {"RequestId": "string", "NextPageToken": "string", "Jobs": [PROBE]},
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
    "RegisterMediaInfo": {"RequestId": "string", "MediaId": "string"},
    "UpdateMediaInfo": {"RequestId": "string", "MediaId": "string"},
    "GetMediaInfo": {
        "RequestId": "string",
        "MediaInfo": {
            "MediaId": "string",
            "MediaBasicInfo": MEDIA,
            "FileInfoList": [STREAMS | {"FileBasicInfo": FILE}],
        },
    },
    "DeleteMediaInfos": {"RequestId": "string", "ForbiddenList": ["string"], "IgnoredList": ["string"]},
    "ListMediaBasicInfos": {
        "RequestId": "string",
        "MaxResults": "integer",
        "NextToken": "string",
        "TotalCount": "integer",
        "MediaInfos": [
            {"MediaId": "string", "MediaBasicInfo": MEDIA, "FileInfoList": [{"FileBasicInfo": FILE}]}
        ],
    },
    "BatchGetMediaInfos": {
        "RequestId": "string",
        "IgnoredList": ["string"],
        "MediaInfos": [
            {
                "MediaId": "string",
                "MediaBasicInfo": MEDIA_OF_BATCH,
                "FileInfoList": [STREAMS | {"FileBasicInfo": FILE_OF_BATCH}],
            }
        ],
    },
    "CancelSnapshotJob": {"RequestId": "string", "Success": "boolean"},
    "RetrySnapshotJob": {"RequestId": "string", "Success": "boolean"},
    "DeleteSnapshotJob": {"RequestId": "string", "Success": "boolean"},
}
#: why the file of an asset is not, or not yet, understood
_LIMITS = {"MaxConcurrency": "integer", "ActiveHours": "string", "TimeZone": "string", "OffHours": "boolean"}
_WHY = {"Code": "string", "Message": "string"}
OURS_IN_ANSWERS: dict[str, dict[str, Any]] = {
    "GetEventCallback": {"WebhookSecret": "string"},
    "GetMediaInfo": {"MediaInfo": {"MediaBasicInfo": _WHY}},
    "ListMediaBasicInfos": {"MediaInfos": [{"MediaBasicInfo": _WHY}]},
    "BatchGetMediaInfos": {"MediaInfos": [{"MediaBasicInfo": _WHY}]},
    "GetSnapshotJob": {"SnapshotJob": {"Progress": "integer", "Report": "object"}},
    "SubmitSyncMediaInfoJob": {"MediaInfoJob": _WHY},
    "GetMediaInfoJob": {"MediaInfoJob": _WHY},
    "ListMediaInfoJobs": {"Jobs": [_WHY]},
    "CreatePipeline": {"Pipeline": _LIMITS},
    "GetPipeline": {"Pipeline": _LIMITS},
    "ListPipelines": {"PipelineList": [_LIMITS]},
}

_TRANSCODE = "it is about transcode templates, and there are snapshot templates only"
_NOT_YET = "the job was made just now, and is not done"
#: documented fields that never have a value, each with the reason; a path leads through lists, and takes all below it
_AI = "nothing is tagged or analysed here"
_DELETED = "an asset that was deleted is not shown any more"
_SOUND = "sound has no frames of pictures"
_SUBTITLES = "a subtitle codec has no frames of a certain length"
EMPTY_FIELDS: dict[str, dict[str, str]] = {
    "GetCustomTemplate": {"CustomTemplate.FrontendHint": _TRANSCODE},
    "ListCustomTemplates": {"CustomTemplateList.FrontendHint": _TRANSCODE},
    "GetMediaInfo": {
        "MediaInfo.AiRoughData": _AI,
        "MediaInfo.MediaBasicInfo.CateName": "there are no categories here, only the ids and names that are given",
        "MediaInfo.MediaBasicInfo.DeletedTime": _DELETED,
        "MediaInfo.FileInfoList.AudioStreamInfoList.Fps": _SOUND,
        "MediaInfo.FileInfoList.SubtitleStreamInfoList.CodecTimeBase": _SUBTITLES,
    },
    "ListMediaBasicInfos": {
        "MediaInfos.MediaBasicInfo.DeletedTime": _DELETED,
        "MediaInfos.MediaBasicInfo.TranscodeStatus": "nothing is transcoded here",
    },
    "BatchGetMediaInfos": {
        "MediaInfos.MediaDynamicInfo": _AI,
        "MediaInfos.MediaBasicInfo.DeletedTime": _DELETED,
        "MediaInfos.MediaBasicInfo.TranscodeStatus": "nothing is transcoded here",
        "MediaInfos.FileInfoList.AudioStreamInfoList.Fps": _SOUND,
        "MediaInfos.FileInfoList.SubtitleStreamInfoList.CodecTimeBase": _SUBTITLES,
    },
    "SubmitMediaInfoJob": {
        "MediaInfoJob.FinishTime": _NOT_YET,
        "MediaInfoJob.MediaInfoProperty": _NOT_YET,
    },
    "GetEventCallback": {
        "CallbackQueueName": "it is of CallbackType MNS, and there is no message queue here"
    },
}
