"""Packaging: the compiled kernels in the wheel, or in the source tree for an editable install."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TOOLS = Path(__file__).resolve().parent
KERNELS = runpy.run_path(str(TOOLS / "kernels.py"), run_name="kernels")


class KernelHook(BuildHookInterface[Any]):
    """Compiles the kernels before a wheel is put together."""

    def dependencies(self) -> list[str]:
        """Installed by pip before the build."""
        return list(KERNELS["missing_compiler"]())

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the kernels to the wheel, whose name then states the Python and the platform that they are for."""
        build_data["pure_python"] = False
        build_data["tag"] = self._tag()
        if version == "editable":
            KERNELS["build"](Path(self.root))
            build_data["force_include_editable"][str(TOOLS / "rebuild.pth")] = "_ltcal_rebuild.pth"
            return
        target = Path(self.root, "build", "wheel")
        build_data["force_include"] |= {str(target / one): str(one) for one in KERNELS["build"](target)}

    def _tag(self) -> str:
        tag = self.build_config.builder.get_best_matching_tag()
        return f"cp311-abi3-{tag.split('-')[2]}" if KERNELS["STABLE_ABI"] else tag
