"""Order: waves, stages and bands."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.plan.stages import arrange, removal_bands, wave_of
from shared.contracts.objects import object_ref
from tests.builders_kubernetes import config_map, custom, definition, deployment, in_wave, namespace, noted, service


def names(objects: Any) -> list[str]:
    return [f"{item['kind']} {item['metadata']['name']}" for item in objects]


def test_definitions_come_first_then_classes_then_custom_objects_then_the_rest() -> None:
    storage = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "fast"}}
    webhook = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "w"}}
    ingress = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"}}
    given_objects = [
        webhook,
        ingress,
        deployment(),
        config_map(),
        custom("munbon.test"),
        storage,
        namespace("shop"),
        definition("munbon.test"),
    ]
    [wave] = arrange(given_objects)
    assert [stage.name for stage in wave.stages] == ["definitions", "classes", "custom", "rest"]
    assert names(wave.objects)[2:] == [
        "StorageClass fast",
        "Weir north",
        "ConfigMap settings",
        "Deployment web",
        "Ingress i",
        "ValidatingWebhookConfiguration w",
    ]


def test_objects_of_one_band_may_be_applied_at_once() -> None:
    [wave] = arrange(
        [config_map("a"), config_map("b"), {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "c"}}, deployment()]
    )
    [stage] = wave.stages
    assert [len(band) for band in stage.bands] == [3, 1]


def test_waves_are_outermost_and_a_number_that_is_none_counts_as_zero() -> None:
    waves = arrange(
        [in_wave(deployment("late"), 5), in_wave(service("early"), -3), noted(config_map(), {"argocd.argoproj.io/sync-wave": "soon"})]
    )
    assert [wave.number for wave in waves] == [-3, 0, 5]
    assert wave_of(noted(config_map(), {"argocd.argoproj.io/sync-wave": " 7 "})) == 7
    assert wave_of(noted(config_map(), {"argocd.argoproj.io/sync-wave": "٣"})) == 0


def test_a_definition_and_a_namespace_move_forward_to_the_first_object_that_needs_them() -> None:
    inside = in_wave(config_map(), -2)
    inside["metadata"]["namespace"] = "shop"
    waves = arrange([namespace("shop"), inside, in_wave(custom("munbon.test"), -1), in_wave(definition("munbon.test"), 3)])
    assert {wave.number: names(wave.objects) for wave in waves} == {
        -2: ["Namespace shop", "ConfigMap settings"],
        -1: ["CustomResourceDefinition weirs.munbon.test", "Weir north"],
    }


def test_deleting_goes_the_other_way_round() -> None:
    refs = [object_ref(item) for item in (namespace("shop"), definition("munbon.test"), custom("munbon.test"), config_map(), deployment())]
    kinds = [ref.kind for band in removal_bands(refs) for ref in band]
    assert kinds[:3] == ["Deployment", "ConfigMap", "Weir"]
    assert set(kinds[3:]) == {"CustomResourceDefinition", "Namespace"}


KINDS = st.sampled_from(
    ["ConfigMap", "Deployment", "Namespace", "CustomResourceDefinition", "ClusterRole", "StorageClass", "Weir", "Ingress", "Odd"]
)
GROUPS = st.sampled_from(["v1", "apps/v1", "munbon.test/v1", "networking.k8s.io/v1", "gateway.networking.k8s.io/v1"])
OBJECTS = st.builds(
    lambda kind, version, name, wave: {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": name, "annotations": {"argocd.argoproj.io/sync-wave": wave}},
    },
    KINDS,
    GROUPS,
    st.text("abc", min_size=1, max_size=2),
    st.sampled_from(["-1", "0", "1", "x", ""]),
)


@settings(deadline=None)
@given(st.lists(OBJECTS, max_size=12))
def test_every_object_is_there_once_and_waves_rise(objects: Any) -> None:
    waves = arrange(objects)
    flat = [item for wave in waves for item in wave.objects]
    assert sorted(map(id, flat)) == sorted(map(id, objects))
    assert [wave.number for wave in waves] == sorted({wave.number for wave in waves})
    refs = list({object_ref(item) for item in objects})
    assert sorted(map(str, (ref for band in removal_bands(refs) for ref in band))) == sorted(map(str, refs))


@settings(deadline=None)
@given(st.lists(OBJECTS, max_size=8), st.randoms())
def test_the_order_does_not_depend_on_how_the_release_lists_its_objects(objects: Any, random: Any) -> None:
    unique = list({object_ref(item): item for item in objects}.values())
    shuffled = list(unique)
    random.shuffle(shuffled)
    assert [wave.objects for wave in arrange(unique)] == [wave.objects for wave in arrange(shuffled)]
