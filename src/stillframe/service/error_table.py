"""Every code that an answer may carry: its HTTP status, its message, and what its reader can do.

Codes, statuses and the first sentences of the messages are those of IMS and of the gateway before it
(https://help.aliyun.com/document_detail/197855.html and the common error tables of its products).
docs/errors.md is made from this table. Which of its own codes an action may answer stands with the action, in `errors`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorKind:
    """One code. `message` is a format over the facts of a case; `remedy` goes out as Recommend."""

    status: int
    message: str
    remedy: str


_MANDATORY = "{name} is mandatory for this action."
_SIGN = "Sign requests with an official SDK, or follow the rules of ACS3-HMAC-SHA256 or RPC V1."
_VALUE = 'The specified parameter "{path}" is not valid.'
_VALUE_REMEDY = "Give the parameter a value that is allowed; docs/parameters.md lists them."
_FILE = "Look at the file itself: stillframe probe says what is in it."
_DENIED = "User not authorized to operate on the specified resource."

#: what any request may be answered, whatever its action: what the gateway finds, and faults of the server
COMMON_ERRORS: dict[str, ErrorKind] = {
    "ContentMD5NotMatched": ErrorKind(
        400,
        "The header Content-MD5 ({announced}) does not match the body ({actual}).",
        "Send the body unchanged, or leave Content-MD5 out.",
    ),
    "IncompleteSignature": ErrorKind(
        400, "The request signature does not conform to Aliyun standards.", _SIGN
    ),
    "InvalidAccessKeyId.Inactive": ErrorKind(
        400,
        "Specified access key is disabled.",
        "Use another key; stillframe key create makes one.",
    ),
    "InvalidAccessKeyId.NotFound": ErrorKind(
        404,
        "Specified access key is not found.",
        "Check the AccessKeyId: stillframe key list shows those there are.",
    ),
    "InvalidAction.NotFound": ErrorKind(
        404,
        "Specified api is not found, please check your url and method.",
        "Send POST or GET to / with the name of an action; docs/actions lists them.",
    ),
    "InvalidSecurityToken.Expired": ErrorKind(400, "Specified SecurityToken is expired.", "Get a new token."),
    "InvalidSecurityToken.Malformed": ErrorKind(
        400,
        "Specified SecurityToken is malformed.",
        "Send the token as it was issued, or none with a key that needs none.",
    ),
    "InvalidSecurityToken.MismatchWithAccessKey": ErrorKind(
        400,
        "Specified SecurityToken mismatch with the AccessKey.",
        "Use the key that was issued together with the token.",
    ),
    "InvalidSignatureMethod": ErrorKind(
        400,
        "Specified signature method is not valid: {method}.",
        "Sign with ACS3-HMAC-SHA256, or with RPC V1 and HMAC-SHA1.",
    ),
    "InvalidTimeStamp.Expired": ErrorKind(
        400,
        "Specified time stamp or date value is expired. It is {time}; the server's clock says {now}.",
        "Set the clocks: they may differ by 15 minutes.",
    ),
    "InvalidTimeStamp.Format": ErrorKind(
        400,
        "Specified time stamp or date value is not well formatted: {name} is {time}.",
        "Write the time as 2026-11-22T17:30:42Z, in UTC.",
    ),
    "InvalidVersion": ErrorKind(
        400,
        "Specified parameter Version is not valid. It is {version}, but must be {allowed}.",
        "Use an SDK of product ICE, version 2020-11-09.",
    ),
    "MissingAccessKeyId": ErrorKind(400, _MANDATORY, _SIGN),
    "MissingAction": ErrorKind(
        400, _MANDATORY, "Name the action in the header x-acs-action, or in the parameter Action for RPC V1."
    ),
    "MissingSecurityToken": ErrorKind(
        400, _MANDATORY, "A temporary key needs the token that was issued together with it."
    ),
    "MissingSignature": ErrorKind(400, _MANDATORY, _SIGN),
    "MissingSignatureMethod": ErrorKind(400, _MANDATORY, _SIGN),
    "MissingSignatureNonce": ErrorKind(400, _MANDATORY, _SIGN),
    "MissingSignatureVersion": ErrorKind(400, _MANDATORY, _SIGN),
    "MissingTimestamp": ErrorKind(400, _MANDATORY, _SIGN),
    "MissingVersion": ErrorKind(
        400,
        _MANDATORY,
        "Give the version in the header x-acs-version, or in the parameter Version for RPC V1.",
    ),
    "NoPermission": ErrorKind(
        403,
        "User not authorized to operate on the specified resource, or this API doesn't support RAM.",
        "Ask the owner of the account for a policy that allows this action (docs/ram.md).",
    ),
    "RequestEntityTooLarge": ErrorKind(
        413,
        "The request body is too large: it has {length}, and {limit} bytes are the most.",
        "Put the video into a bucket and give its address.",
    ),
    "RequestTimeout": ErrorKind(
        408,
        "The request was not complete after {seconds} seconds.",
        "Send the request again over a better connection.",
    ),
    "SignatureDoesNotMatch": ErrorKind(
        400,
        "Specified signature is not matched with our calculation. server string to sign is:{string_to_sign}",
        "Compare the string to sign with yours; when they are the same, the AccessKeySecret is wrong. "
        "A proxy that rewrites Host or other signed headers changes it, too.",
    ),
    "SignatureNonceUsed": ErrorKind(
        400,
        "Specified signature nonce was used already.",
        "Make a new nonce for every request, also when one is sent again.",
    ),
    "Throttling": ErrorKind(400, "Request was denied due to request throttling.", "Send fewer requests."),
    "Throttling.Api": ErrorKind(
        400, "Request was denied due to api flow control.", "Send fewer requests of this action."
    ),
    "Throttling.User": ErrorKind(
        400,
        "Request was denied due to user flow control.",
        "Wait as long as the header x-acs-retry-after says (milliseconds).",
    ),
    "UnsupportedHTTPMethod": ErrorKind(
        400, "The HTTP method {method} is not supported.", "Send POST or GET to /."
    ),
    "InternalError": ErrorKind(
        500,
        "The request processing has failed due to some unknown error.",
        "Look for the RequestId in the server's log.",
    ),
    "ServiceUnavailable": ErrorKind(
        503,
        "The request has failed due to a temporary failure of the server.",
        "Send the request again in a moment; with a ClientToken no job is made twice.",
    ),
}

#: what the actions find
ACTION_ERRORS: dict[str, ErrorKind] = {
    "Forbidden": ErrorKind(403, _DENIED, "Ask the owner of the resource for access."),
    "IdempotentParameterMismatch": ErrorKind(
        400,
        "The ClientToken was used before, with other parameters.",
        "Make a new ClientToken for everything that is new.",
    ),
    "InvalidParameter": ErrorKind(400, _VALUE, _VALUE_REMEDY),
    "InvalidParameter.NotSupport": ErrorKind(
        400, 'The specified parameter "{path}" has a value that is not supported.', _VALUE_REMEDY
    ),
    "InvalidParameter.ResourceContentBad": ErrorKind(400, "The resource operated is bad.", _FILE),
    "MaxReadBytesExceeded": ErrorKind(
        403,
        "More of the resource would have to be read than is allowed.",
        "Ask for less of it, or allow more: MaxReadBytes, or the operator's max_read_bytes.",
    ),
    "MediaAlreadyExist": ErrorKind(
        409,
        "The media with the given inputUrl {input_url} already exists.",
        "Use the asset that there is, or register with Overwrite to put a new one in its place.",
    ),
    "MissingParameter": ErrorKind(
        400,
        'The input parameter "{path}" that is mandatory for processing this request is not supplied.',
        "Give the parameter; docs/actions has a page for each action.",
    ),
    "OperationDenied": ErrorKind(
        403, "The operation is denied.", "The message says what stands in its way; mend that first."
    ),
    "PermissionDenied.ResourceQuotaExceed": ErrorKind(
        403,
        'The resource "{kind}" quota has been used up.',
        "Wait until some of them are done, or ask the operator for more; docs/settings.md names the limits.",
    ),
    "ResourceNotFound": ErrorKind(
        404,
        'The specified resource for "{kind}" could not be found.',
        "Check the name; what belongs to another account cannot be seen.",
    ),
}

ERRORS: dict[str, ErrorKind] = COMMON_ERRORS | ACTION_ERRORS

#: the message of SignatureDoesNotMatch for ACS3-HMAC-SHA256
ACS3_MISMATCH = (
    "Specified signature does not match our calculation. "
    "server StringToSign is [{string_to_sign}] server CanonicalRequest is [{canonical_request}]"
)
