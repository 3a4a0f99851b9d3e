"""`sam local start-api` serves the template's routes, and nothing of it is left when it ends."""

import re
from pathlib import Path

import urllib3

from tests.sam.containers import Sam, containers


def test_start_api(open_sam: Sam, tmp_path: Path) -> None:
    log = tmp_path / "start-api.log"
    with open_sam.start_api(log) as url:
        health = urllib3.request("GET", f"{url}/health")
        assert (health.status, health.json()["status"]) == (200, "healthy")

        listing = urllib3.request("GET", f"{url}/list-bucket-content/images?limit=1")
        assert (listing.status, listing.json()["content"]) == (200, ["harbour.png"])

        presigned = urllib3.request("POST", f"{url}/presign", json={"key": "images/two regions.svg"})
        assert presigned.status == 200
        assert urllib3.request("GET", presigned.json()["url"]).data.startswith(b"<svg")

        preflight = urllib3.request("OPTIONS", f"{url}/presign", headers={"Origin": "https://app.example.com"})
        assert preflight.headers["access-control-allow-origin"] == "*"
        started = re.findall(r"SAM_CONTAINER_ID: (\w+)", log.read_text())
        assert containers(started)
    assert containers(started) == []
