"""The examples of deploy/, read and run without doing anything."""

import json
import os
import re
import subprocess

import pytest
import yaml

from tests.imports import ROOT
from thaw.training.settings import FineTune

DEPLOY = ROOT / "deploy"
GIVEN = {"REPOSITORY": "/srv/pets.git", "COMMIT": "c0ffee", "NAME": "pets", "THAW_DRY": "1"}


def dry(script, *arguments: str, **environment: str) -> list[str]:
    """Run a script that only prints; return its lines."""
    done = subprocess.run(
        ["sh", script, *arguments], env={"PATH": os.environ["PATH"], **environment}, cwd=ROOT,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def cluster(lines: list[str]) -> dict:
    [config] = [line for line in lines if line.startswith("TF_CONFIG=")]
    return json.loads(config.removeprefix("TF_CONFIG="))


@pytest.mark.parametrize("index", [0, 1])
def test_each_host_knows_all_and_the_first_pushes(index):
    lines = dry(
        DEPLOY / "host.sh", "-S", "fine_tune.epochs=20",
        **GIVEN, HOSTS="a b.c", SLURM_PROCID=str(index), WORK="/scratch",
    )  # fmt: skip
    assert cluster(lines) == {
        "cluster": {"worker": ["a:29500", "b.c:29500"]},
        "task": {"type": "worker", "index": index},
    }
    assert f"git clone --quiet --no-checkout /srv/pets.git /scratch/pets-{index}" in lines
    assert "dvc exp run --pull --name pets -S fine_tune.epochs=20 fine_tune" in lines
    assert ("dvc exp push --run-cache origin pets" in lines) == (index == 0)
    assert "epochs" in FineTune.model_fields


def test_slurm_starts_one_on_each_node_and_again_after_a_failure(tmp_path):
    """With stand-ins for Slurm's commands, which act as on two nodes."""
    stand_ins = {
        "scontrol": '[ "$1" = show ] && printf "node1\\nnode2\\n" || echo "$@"',
        "srun": '[ -z "$FAILS" ] || exit 1; shift; SLURM_PROCID=0 "$@"; SLURM_PROCID=1 "$@"',
    }
    for name, text in stand_ins.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "node[1-2]"}
    slurm |= {"SLURM_JOB_ID": "17", "FAILS": "", "THAW_DRY": "1"}
    git = tmp_path / "git"
    git.write_text('#!/bin/sh\necho "git $1"\n')
    git.chmod(0o755)
    lines = dry(DEPLOY / "slurm.sh", **slurm)
    hosts = [json.loads(each.removeprefix("TF_CONFIG=")) for each in lines if "TF_CONFIG=" in each]
    assert [each["task"]["index"] for each in hosts] == [0, 1]
    assert hosts[0]["cluster"] == {"worker": ["node1:29500", "node2:29500"]}
    assert "dvc exp push --run-cache origin hosts-17" in lines
    assert dry(DEPLOY / "slurm.sh", **slurm | {"FAILS": "1"}) == ["requeue 17"]
    with pytest.raises(AssertionError):
        dry(DEPLOY / "slurm.sh", **slurm | {"FAILS": "1", "SLURM_RESTART_COUNT": "3"})
    options = re.findall(r"^#SBATCH (--[a-z-]+)", (DEPLOY / "slurm.sh").read_text(), re.M)
    assert {"--nodes", "--ntasks-per-node", "--requeue"} <= set(options)


def test_kubernetes_gives_each_host_what_the_script_wants():
    service, job = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    assert (service["kind"], job["kind"]) == ("Service", "Job")
    pod = job["spec"]["template"]["spec"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert service["metadata"]["name"] == pod["subdomain"]
    [container] = pod["containers"]
    given = {each["name"]: each["value"] for each in container["env"]}
    count = job["spec"]["completions"]
    name = job["metadata"]["name"]
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["parallelism"] == count
    assert given["HOSTS"].split() == [
        f"{name}-{index}.{pod['subdomain']}" for index in range(count)
    ]
    lines = dry(DEPLOY / "host.sh", **given, JOB_COMPLETION_INDEX="1", THAW_DRY="1")
    [port] = {each["containerPort"] for each in container["ports"]}
    assert cluster(lines)["cluster"]["worker"] == [
        f"{each}:{port}" for each in given["HOSTS"].split()
    ]
    shell = subprocess.run(["sh", "-n", "-c", container["command"][-1]], capture_output=True)
    assert shell.returncode == 0
    [mounted] = container["volumeMounts"]
    assert mounted["mountPath"] == given["WORK"]
