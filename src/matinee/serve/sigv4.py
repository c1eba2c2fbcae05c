"""Verification of AWS Signature Version 4, as AWS's SDKs sign requests.

The signature is an HMAC over the method, the path, the query, the signed headers and the body's hash, with a
key derived from the secret, the day, the region and the service (AWS General Reference, "Signature Version
4 signing process").
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

from matinee.core.errors import InputError
from matinee.serve.refusals import Refusal

SERVICE = "personalize"
SKEW_S = 300
_ALGORITHM = "AWS4-HMAC-SHA256"
_PART = re.compile(r"\s*(Credential|SignedHeaders|Signature)=([^,\s]+)\s*")
_DATE = "%Y%m%dT%H%M%SZ"
# What a forged request must not leave out of its signature.
_ALWAYS_SIGNED = frozenset({"host", "x-amz-date"})
_PAIR = re.compile(r"([A-Za-z0-9_-]{4,128}):([\x21-\x7e]{8,256})")


class BadSignature(Refusal):
    """A request whose signature does not hold.

    Args:
        message: why not; it repeats no secret.
        code: AWS's name for it.
    """

    status = 403

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """A request as it was sent.

    Attributes:
        method: HTTP's.
        path: as it stands in the request line, percent-encoded.
        query: as it stands in the request line, without the question mark.
        headers: names in lower case with their values, in the order in which they came.
        body: its bytes.
    """

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class _Claim:
    key_id: str
    day: str
    region: str
    names: tuple[str, ...]
    signature: str


def pairs_of(text: str) -> dict[str, str]:
    """Access key ids and their secrets from lines (or words) of `id:secret`; # begins a comment.

    Raises:
        InputError: a line is none; it is named by its number, and not repeated.
    """
    pairs: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        for word in line.partition("#")[0].split():
            found = _PAIR.fullmatch(word)
            if found is None:
                raise InputError(
                    f"Line {number} of the AWS keys is not ID:SECRET: an id of 4 characters or more, a "
                    "colon, and a secret of 8 or more without blanks."
                )
            pairs[found[1]] = found[2]
    return pairs


def claimed_key(headers: Sequence[tuple[str, str]]) -> str:
    """The access key id that a request names, whether rightly or not; empty where it names none."""
    text = _joined(headers).get("authorization", "")
    found = re.search(r"Credential=([^/,\s]{1,128})/", text)
    return "" if found is None else found[1]


def verify(request: Signed, secrets: Mapping[str, str], now_s: float) -> str:
    """The access key id that a request was signed with.

    Args:
        request: the request.
        secrets: access key id -> secret.
        now_s: seconds since 1970, UTC.

    Raises:
        BadSignature: there is none, nobody knows the key, the request is too old or from the future, or it
            is not what was signed.
    """
    headers = _joined(request.headers)
    claim = _claim(headers)
    moment = _moment(headers, claim, now_s)
    secret = secrets.get(claim.key_id)
    if secret is None:
        raise BadSignature(
            "The security token included in the request is invalid.", "UnrecognizedClientException"
        )
    scope = f"{claim.day}/{claim.region}/{SERVICE}/aws4_request"
    canonical = _canonical(request, headers, claim)
    to_sign = "\n".join((_ALGORITHM, moment, scope, _sha256(canonical.encode())))
    expected = hmac.new(_key(secret, claim), to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected.encode(), claim.signature.encode()):
        raise BadSignature(
            "The request signature we calculated does not match the signature you provided: check the secret "
            "access key and that nothing changes the request on its way.",
            "InvalidSignatureException",
        )
    return claim.key_id


def _joined(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(" ".join(value.split()))
    return {name: ",".join(values) for name, values in found.items()}


def _claim(headers: Mapping[str, str]) -> _Claim:
    """What the Authorization header says."""
    text = headers.get("authorization", "")
    if not text:
        raise BadSignature(
            "The request is not signed: there is no Authorization header.",
            "MissingAuthenticationTokenException",
        )
    algorithm, _, rest = text.partition(" ")
    parts = {found[1]: found[2] for one in rest.split(",") if (found := _PART.fullmatch(one))}
    credential = parts.get("Credential", "").rsplit("/", 4)
    if algorithm != _ALGORITHM or len(parts) != 3 or len(credential) != 5:
        raise _incomplete(f"expected {_ALGORITHM} with Credential, SignedHeaders and Signature.")
    key_id, day, region, service, end = credential
    if (service, end) != (SERVICE, "aws4_request"):
        raise BadSignature(
            f"Credential should be scoped to service {SERVICE!r} and end in 'aws4_request'.",
            "InvalidSignatureException",
        )
    names = tuple(parts["SignedHeaders"].split(";"))
    missing = [name for name in names if name not in headers]
    if missing or not set(names) >= _ALWAYS_SIGNED:
        unsigned = sorted(_ALWAYS_SIGNED - set(names))
        what = (
            f"signed header {missing[0][:60]!r} is not there" if missing else f"{unsigned[0]} is not signed"
        )
        raise _incomplete(f"{what}.")
    return _Claim(key_id=key_id, day=day, region=region, names=names, signature=parts["Signature"])


def _incomplete(why: str) -> BadSignature:
    return BadSignature(f"The Authorization header is incomplete: {why}", "IncompleteSignatureException")


def _moment(headers: Mapping[str, str], claim: _Claim, now_s: float) -> str:
    """The moment of the signature, as it was sent."""
    text = headers["x-amz-date"]
    try:
        moment = datetime.strptime(text, _DATE).replace(tzinfo=UTC).timestamp()
    except ValueError as error:
        raise _incomplete("X-Amz-Date is no moment such as 20240501T120000Z.") from error
    if text[:8] != claim.day:
        raise BadSignature(
            "The day of the credential is not that of X-Amz-Date.", "InvalidSignatureException"
        )
    if abs(moment - now_s) > SKEW_S:
        now = datetime.fromtimestamp(now_s, UTC).strftime(_DATE)
        word = "expired" if moment < now_s else "not yet current"
        raise BadSignature(
            f"Signature {word}: {text} is more than {SKEW_S // 60} minutes from {now}; set the clock.",
            "InvalidSignatureException",
        )
    return text


def _canonical(request: Signed, headers: Mapping[str, str], claim: _Claim) -> str:
    signed = "".join(f"{name}:{headers[name]}\n" for name in claim.names)
    told = headers.get("x-amz-content-sha256")
    payload = _sha256(request.body)
    # A body whose hash was not signed (UNSIGNED-PAYLOAD) could be any body: it is refused like another's.
    if told is not None and told != payload:
        raise BadSignature("X-Amz-Content-Sha256 is not the hash of the body.", "InvalidSignatureException")
    return "\n".join(
        (request.method, _path(request.path), _query(request.query), signed, ";".join(claim.names), payload)
    )


def _path(path: str) -> str:
    """The path, each segment encoded once more, as every service but S3 wants it."""
    return quote(path or "/", safe="/-_.~")


def _query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    encoded = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded)


def _key(secret: str, claim: _Claim) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (claim.day, claim.region, SERVICE, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
