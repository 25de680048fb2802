"""Words to systemd, heard at a real socket."""

import socket
from pathlib import Path

import pytest

from detector.run.service_manager import ServiceManager


def test_systemd_hears_when_it_is_ready_alive_and_reloading(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(5)
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"})
        manager.ready("watching 2 cameras")
        assert heard.recv(200) == b"READY=1\nSTATUS=watching 2 cameras"
        manager.alive()
        manager.alive()  # not due
        manager.reloading()
        assert heard.recv(200) == b"WATCHDOG=1"
        assert heard.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        manager.stopping()
        assert heard.recv(200) == b"STOPPING=1"


def test_without_systemd_nothing_is_said_and_nothing_breaks(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(0)
        for environment in ({}, {"NOTIFY_SOCKET": str(tmp_path / "gone")}, {"WATCHDOG_USEC": "1"}):
            manager = ServiceManager(environment)
            manager.ready("")
            manager.alive()
            manager.reloading()
            manager.stopping()
        with pytest.raises(BlockingIOError):
            heard.recv(200)
    assert not (tmp_path / "gone").exists()
