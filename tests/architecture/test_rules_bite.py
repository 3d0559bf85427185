"""Each rule is shown a small sample that breaks it, and one that keeps it: a check that cannot fail checks nothing."""

from tests.architecture import rules


def test_a_library_or_a_neighbour_that_does_io_is_refused_in_pure_modules() -> None:
    found = rules.impure_imports("edge_agent.plan.planner", ["requests", "os", "edge_agent.kube.client", "shared.clock", "central.models"])
    assert len(found) == 5


def test_data_types_and_pure_neighbours_are_allowed_in_pure_modules() -> None:
    assert (
        rules.impure_imports("edge_agent.plan.planner", ["dataclasses", "pydantic", "edge_agent.model", "shared.contracts.desired"]) == []
    )


def test_waiting_and_printing_are_refused_in_pure_modules() -> None:
    source = "async def decide():\n    print(1)\n    return open('x')\n"
    assert [line.split(": ")[0] for line in rules.impure_code("m", source)] == ["m:1", "m:2", "m:3"]


def test_a_method_named_open_is_no_built_in() -> None:
    assert rules.impure_code("m", "def decide(gate):\n    return gate.open()\n") == []


def test_a_folder_docstring_that_leaves_a_word_out_is_refused() -> None:
    said = '"""Applies.\n\nTakes: a plan.\nGives: outcomes.\nMay import: kube.\n"""\n'
    assert rules.folder_docstring("apply", said) == ["apply/__init__.py: the docstring does not say 'Never:'"]
    assert len(rules.folder_docstring("apply", "")) == 4
    assert rules.folder_docstring("apply", None) == ["apply: no __init__.py"]
    assert rules.folder_docstring("apply", said.replace("kube.\n", "kube.\nNever: decides.\n")) == []


def test_a_long_function_and_a_long_file_are_refused() -> None:
    long_function = "def f():\n" + "    x = 1\n" * rules.FUNCTION_LINES
    assert len(rules.too_long("central/a.py", long_function)) == 1
    assert rules.too_long("central/a.py", long_function.removesuffix("    x = 1\n")) == []
    long_file = "x = 1\n" * (rules.FILE_LINES + 1)
    assert len(rules.too_long("central/a.py", long_file)) == 1
    assert rules.too_long("tests/unit/test_a.py", long_file) == []
    assert len(rules.too_long("tests/unit/test_a.py", "x = 1\n" * (rules.TEST_FILE_LINES + 1))) == 1


def test_a_module_of_shared_that_one_program_needs_is_refused() -> None:
    users = {
        "shared.lonely": ["edge_agent.report.outbox", "edge_agent.loop"],
        "shared.unused": ["shared.lonely"],
        "shared.api": ["central.cli.main", "central.api.app"],
        "shared.clock": ["central.main", "edge_agent.gate_control.loop"],
    }
    assert [line.split()[0] for line in rules.one_sided(users)] == ["shared.lonely", "shared.unused"]


def test_an_address_in_a_lock_file_is_refused() -> None:
    for line in ("a @ https://example.com/a.whl", "--index-url x", "--find-links /wheels", "# from files.example.org", "git+ssh://x/y"):
        assert rules.addresses("requirements/dev.txt", line), line
    assert (
        rules.addresses(
            "requirements/dev.txt", "zope.interface==7.0 \\\n    --hash=sha256:00ab\nruamel.yaml.clib==0.2 ; python_version < '3.13'\n"
        )
        == []
    )
    assert rules.addresses("deploy/local_cluster/go/go.mod", "require example.com/kubernetes v1.36.0") == []
    assert rules.addresses("deploy/local_cluster/go/go.mod", "// taken from https://example.com")


def test_the_product_may_not_import_tests_in_any_form() -> None:
    source = "import tests.builders\nfrom tests.fakes import clock\nfrom deploy.local_cluster import up\nfrom shared import testing\n"
    assert [line.split(":")[1] for line in rules.production_importing_tests("central/main.py", source)] == ["1", "2", "3"]
