"""The schema and the worker refuse the same of pynenc's settings."""

import yaml

from hack.generate_crd import CRD, SOURCE
from pynenc_worker import contract


def test_the_schema_refuses_what_the_contract_reserves() -> None:
    reserved = yaml.safe_load(SOURCE.read_text())["$variables"]["reservedEnv"]
    pod = f"['{contract.ENV_POD_NAME}', '{contract.ENV_POD_NAMESPACE}', '{contract.ENV_POD_UID}']"
    expected = (
        f"(IT.startsWith('PYNENC_WORKER_') || IT in {pod} || ( "
        f"IT.matches('{contract.RESERVED_SETTINGS}') && !IT.matches('{contract.UNRESERVED_SETTINGS}')))"
    )
    assert " ".join(reserved.split()) == expected


def test_it_does_so_in_env_and_in_the_template() -> None:
    generated = " ".join(CRD.read_text().split())
    assert generated.count(contract.RESERVED_SETTINGS) >= 2
    assert generated.count(contract.UNRESERVED_SETTINGS) >= 2
