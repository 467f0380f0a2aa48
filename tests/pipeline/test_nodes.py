"""What may be built at all, wherever a configuration comes from: a stranger's checkpoint runs no code."""

from pipeline.nodes import refusal


def test_refusal_guards_what_is_built() -> None:
    assert refusal("torch.optim.SGD") == ""
    assert "NotThere" in refusal("torch.optim.NotThere")
    assert "'subprocess' is not one" in refusal("subprocess.run")
    assert "is really in 'os'" in refusal("pytorch_lightning.trainer.trainer.os.system")
    for runs_code in (
        "torch.utils.cpp_extension.load",
        "torch.utils.collect_env.run",
        "torch.hub.load",
        "torch.serialization.load",
        "torch.jit.load",
        "torch.distributed.run.main",
        "torch.nn.modules.module.torch.hub.load",
        "torchvision.datasets.utils.download_url",
        "lightning_modules.base.torch.load",
        "pipeline.launch._run_worker",
        "pipeline.forward.main",
    ):
        assert refusal(runs_code), runs_code
    for part in ("torch.nn.ReLU", "pytorch_lightning.callbacks.Timer", "albumentations.Affine"):
        assert refusal(part) == ""
