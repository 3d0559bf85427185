"""The rules of rules.py on the whole checkout: each test lists every place that breaks its rule."""

from tests.architecture import rules, tree


def complain(complaints: list[str]) -> None:
    assert not complaints, "\n" + "\n".join(complaints)


def test_pure_modules_import_only_pure_modules_and_data_types() -> None:
    graph = tree.graph()
    complain([line for module in pure_modules() for line in rules.impure_imports(module, graph.find_modules_directly_imported_by(module))])


def test_pure_modules_neither_wait_nor_touch_the_world() -> None:
    complain(
        [line for module in pure_modules() for line in rules.impure_code(module, tree.module_file(module).read_text(encoding="utf-8"))]
    )


def test_each_folder_says_what_it_takes_gives_may_import_and_never_does() -> None:
    folders = sorted({path.rsplit("/", 1)[0] for path in tree.python_files(*tree.PRODUCT)})
    complaints = []
    for folder in folders:
        if not folder.startswith(tree.MIGRATIONS):
            init = tree.ROOT / folder / "__init__.py"
            complaints += rules.folder_docstring(folder, init.read_text(encoding="utf-8") if init.exists() else None)
    complain(complaints)


def test_each_module_of_shared_is_needed_by_two_programs() -> None:
    graph = tree.graph()
    leaves = [module for module in graph.modules if rules.is_in(module, ("shared",)) and not graph.find_children(module)]
    complain(rules.one_sided({module: graph.find_downstream_modules(module) for module in leaves}))


def test_files_and_functions_keep_to_their_budget_of_lines() -> None:
    paths = tree.python_files(*tree.PRODUCT, "deploy", "tests")
    complain([line for path in paths if not path.startswith(tree.MIGRATIONS) for line in rules.too_long(path, tree.read(path))])


def test_the_product_imports_neither_tests_nor_deploy() -> None:
    complain([line for path in tree.python_files(*tree.PRODUCT) for line in rules.production_importing_tests(path, tree.read(path))])


def test_lock_files_name_no_address() -> None:
    paths = tree.lock_files()
    assert "requirements/dev.txt" in paths
    complain([line for path in paths for line in rules.addresses(path, tree.read(path))])


def pure_modules() -> list[str]:
    modules = sorted(module for module in tree.graph().modules if rules.is_in(module, rules.PURE))
    assert "shared.errors" in modules
    return modules
