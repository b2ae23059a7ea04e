"""Buckets on servers of this machine, and commands that use them. The fixtures are in cluster/conftest.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from click.testing import CliRunner, Result
from fsspec import AbstractFileSystem
from moto import settings

from longtail_cli.cli import main

SCENES = Path(__file__).parents[1] / "examples" / "digit_scenes"
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@dataclass(frozen=True)
class Bucket:
    """The bucket ``data``."""

    files: AbstractFileSystem
    endpoint: str
    url: str = "s3://data"

    def names(self) -> set[str]:
        """The keys of all objects but those of the folder ``in``."""
        found = (path.removeprefix("data/") for path in self.files.find("data"))
        return {name for name in found if not name.startswith("in/")}

    def text(self, key: str) -> str:
        return self.files.cat_file(f"data/{key}").decode()


def run(*words: str) -> Result:
    return CliRunner().invoke(main, list(map(str, words)))


def output(*words: str) -> Result:
    """The result of a call that succeeds, and never shows where a copy was kept."""
    result = run(*words)
    assert result.exit_code == 0, result.output
    assert ".ltcal-" not in result.output
    return result


def error(*words: str) -> str:
    """The message of a call that is refused."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert ".ltcal-" not in result.stderr
    return result.stderr


@contextmanager
def policy(bucket: Bucket, denied: str, name: str) -> Iterator[None]:
    """The server asks for permission; the user of the block may do anything but the action `denied` on an object."""
    iam = boto3.client("iam", endpoint_url=bucket.endpoint)
    iam.create_user(UserName="worker")
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    refused = {"Effect": "Deny", "Action": denied, "Resource": f"arn:aws:s3:::data/{name}"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allowed, refused]})
    iam.put_user_policy(UserName="worker", PolicyName="store", PolicyDocument=document)
    key = iam.create_access_key(UserName="worker")["AccessKey"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        patch.setattr(settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0)
        yield
    iam.delete_access_key(UserName="worker", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="worker", PolicyName="store")
    iam.delete_user(UserName="worker")
