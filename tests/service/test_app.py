from pathlib import Path

from tests.service.fakes import Instance, open_instance, png
from tests.service.routes.test_score import code

PNG = {"Content-Type": "image/png"}


def test_unknown_addresses_and_methods_have_the_one_shape_of_errors(instance: Instance) -> None:
    assert code(instance.client.get("/nowhere")) == (404, "not_found")
    wrong = instance.client.get("/score")
    assert code(wrong) == (405, "method_not_allowed")
    assert wrong.headers["Allow"] == "POST"


def test_hosts_and_origins_are_guarded(instance: Instance) -> None:
    assert code(instance.client.get("/healthz", headers={"Host": "evil.example"})) == (400, "unknown_host")
    foreign = instance.client.post("/score", content=png(1), headers=PNG | {"Origin": "https://evil.example"})
    assert code(foreign) == (403, "cross_site_request")
    own = instance.client.post("/score", content=png(1), headers=PNG | {"Origin": str(instance.client.base_url)})
    assert own.status_code == 200


def test_what_each_call_answers_is_of_a_type_that_the_document_names(instance: Instance) -> None:
    described = instance.client.get("/openapi.json").json()["paths"]
    for path, methods in described.items():
        if "get" in methods and not path.startswith("/history"):
            answer = instance.client.get(path.replace("{name}", "m").replace("{version}", "1"))
            assert answer.status_code == 200
            kind = answer.headers["Content-Type"].partition(";")[0]
            assert list(methods["get"]["responses"]["200"]["content"]) == [kind], path


def test_a_detector_is_warmed_before_it_is_used(tmp_path: Path) -> None:
    with open_instance(tmp_path, max_batch=9) as instance:
        assert instance.detector.warmed == 9


def test_a_query_that_gives_a_parameter_two_values_is_refused_by_every_call(instance: Instance) -> None:
    """The framework would take the last one. The history is off, and no such model is there: this is said before."""
    paths = instance.client.get("/openapi.json").json()["paths"]
    asked = {
        (method, path.replace("{name}", "m"), parameter["name"])
        for path, methods in paths.items()
        for method, operation in methods.items()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }
    assert {path for _, path, _ in asked} == {
        "/score", "/score/batch", "/history", "/history.csv", "/models/m/drift", "/admin/load", "/admin/unload",
    }  # fmt: skip
    for method, path, name in asked:
        answer = instance.client.request(method, f"{path}?{name}=2&x=1&{name}=3")
        assert code(answer) == (400, "malformed_request"), (method, path, name)
        assert f"'{name}' is given twice in the query, as '2' and as '3'; give it once." in answer.text
