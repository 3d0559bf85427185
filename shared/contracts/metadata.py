"""Labels, annotations and the field manager on objects in the cluster: contract as well."""

from __future__ import annotations

FIELD_MANAGER = "munbon"
USER_AGENT = "munbon-agent"

LABEL_APP = "munbon.io/app"
"""Owner label on every object that a release made; the watch and the rebuild of an inventory select by it."""
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY_VALUE = "munbon"

ANNOTATION_RELEASE = "munbon.io/release-digest"
ANNOTATION_VERSION = "munbon.io/version"
ANNOTATION_ADOPT = "munbon.io/adopt"
"""`munbon.io/adopt: <app>` on a foreign live object allows a release of that app to take it over."""
ANNOTATION_PRUNE = "munbon.io/prune"
"""`disabled`: never deleted by Munbon."""
ANNOTATION_FORCE = "munbon.io/force"
"""`recreate`: an immutable change may delete and recreate this object (never PVC, StatefulSet, Namespace, CRD)."""
SETTINGS_CONFIGMAP_SUFFIX = "-settings"
"""`<app>-settings` in the release's namespace holds `settings` of the node."""
