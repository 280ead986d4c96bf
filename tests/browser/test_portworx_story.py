"""The story with Portworx as a person performs it, in a product that knows nothing: every row, on its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import kubernetes
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from demo.check import page_at
from demo.estate.sites import SITES
from demo.portworx.storage import VERSION, storage_of
from demo.trees import differences
from tests.portworx_engine import described, nine
from tests.portworx_estate import hand
from tests.story.from_nothing import PASSWORD, USER, Beginning, beginning

SLOW_MS = 60_000
ABORTED = ("htmx:afterRequest", "htmx:sendAbort")
STEPS = (
    "Look at both clusters",
    "The destination's cluster UUID",
    "Object-store credentials on the destination",
    "Object-store credentials on the source",
    "The destination's token",
    "The destination's endpoint, tried from the source",
    "The ClusterPair document",
    "The ClusterPair on the source",
    "Storage and scheduler status",
)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Beginning]:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    with beginning(tmp_path) as made:
        yield made


def field(page: Page, label: str) -> Locator:
    """The field with this label; what is required has a star behind it."""
    return page.get_by_label(re.compile(rf"^\s*{re.escape(label)}\s*\*?\s*$"))


def sign_in(page: Page, begun: Beginning) -> None:
    page.goto(begun.address)
    field(page, "Username").fill(USER)
    field(page, "Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Teams").first.click()
    page.get_by_role("link", name="Make a team").first.click()
    field(page, "Name").fill("Content platform")
    page.get_by_role("button", name="Save").click()


def add_cluster(page: Page, begun: Beginning, name: str) -> None:
    """Row 1, and the UUID of row 3."""
    page.get_by_role("link", name="Clusters").first.click()
    page.get_by_role("link", name="Add a cluster").first.click()
    field(page, "Name").fill(name)
    field(page, "Kubeconfig").fill(begun.kubeconfig(name))
    page.get_by_role("button", name="Add and check").click()
    main = page.get_by_role("main")
    expect(main).to_contain_text("Healthy", timeout=SLOW_MS)
    card = page.locator(".pf-v6-c-card", has=page.get_by_role("heading", name="Portworx"))
    uuid = hand.uuid_of(begun.clusters[name])
    for words in (
        "PX is operational",
        VERSION,
        uuid,
        "kube-system",
        "Trial",
        "3 of 3 ready",
        "GiB used",
        "Stork version",
    ):
        expect(card).to_contain_text(words)
    card.get_by_text("3 nodes").click()
    expect(card).to_contain_text(f"{SITES[name].region}.compute.internal")
    expect(card).to_contain_text("3 storage pools")


def read_volumes(page: Page, begun: Beginning) -> None:
    """Row 2: what is in the project, and what Portworx says of its volumes."""
    page.get_by_role("link", name="Clusters").first.click()
    page.get_by_role("link", name="dev", exact=True).click()
    page.get_by_role("link", name="Volumes").click()
    for claim in nine.CLAIMS:
        row = page.get_by_role("table", name="Volumes").locator("tr", has_text=claim)
        found = begun.dev.call(lambda api, claim=claim: api.get("persistentvolumeclaims", "cms", claim))
        pod = "mysql-" if "mysql" in claim else "wordpress-"
        for words in (found["spec"]["volumeName"], "GiB", "compute.internal", pod):
            expect(row).to_contain_text(words)


def add_store(page: Page, begun: Beginning) -> None:
    """The bucket, through which volumes go."""
    store = begun.store
    page.get_by_role("link", name="Object stores").first.click()
    page.get_by_role("link", name="Add an object store").first.click()
    for label, value in (
        ("Name", "moves"),
        ("Endpoint", store.endpoint),
        ("Region", store.region),
        ("Bucket", store.bucket),
        ("Access key id", store.keys.access_key_id),
        ("Secret access key", store.keys.secret_access_key),
    ):
        field(page, label).fill(value)
    page.get_by_role("button", name="Add and check").click()
    expect(page.get_by_role("main")).to_contain_text("Healthy", timeout=SLOW_MS)


def add_pair(page: Page) -> None:
    """The pair, with Portworx as its engine."""
    page.get_by_role("link", name="Cluster pairs").first.click()
    page.get_by_role("link", name="Add a pair").first.click()
    field(page, "Name").fill("dev-to-prod")
    field(page, "Source").select_option(label="dev")
    field(page, "Destination").select_option(label="prod")
    field(page, "Object store").select_option(label="moves")
    field(page, "Engine").select_option("portworx")
    field(page, "Namespace of the ClusterPair").fill("cms")
    field(page, "Name of the ClusterPair").fill("prodcluster")
    page.get_by_role("button", name="Add and check").click()
    expect(page.locator("#pairing-progress")).to_be_visible(timeout=SLOW_MS)


def steps_are_fine(page: Page) -> None:
    """The job that runs ends by itself on the page, each step well."""
    progress = page.locator("#pairing-progress")
    expect(progress.get_by_text("Under way …")).to_have_count(0, timeout=SLOW_MS)
    for title in STEPS:
        expect(progress.get_by_role("listitem").filter(has_text=title).first).to_contain_text("fine")


def set_up(page: Page, begun: Beginning) -> None:
    """Rows 3 to 9: one button, and every step followed without reloading."""
    page.evaluate("window.neverReloaded = true")
    page.get_by_role("button", name="Set up").click()
    expect(page.get_by_role("main")).to_contain_text("It has begun.")
    page.evaluate("window.neverReloaded = true")
    steps_are_fine(page)
    assert page.evaluate("window.neverReloaded")
    expect(page.locator("#checks")).not_to_contain_text("not paired yet")
    progress = page.locator("#pairing-progress")
    uuid = hand.uuid_of(begun.prod)
    expect(progress).to_contain_text(uuid)
    expect(progress).to_contain_text(f"clusterPair_{uuid} was made; the object store accepts it.")
    expect(progress).to_contain_text("128 characters; it is not kept here.")
    expect(progress).to_contain_text(f"{hand.load_balancer(begun.prod)}:9001")
    expect(progress).to_contain_text("ClusterPair cms/prodcluster created on dev.")
    expect(progress).to_contain_text("Storage and scheduler are Ready.")
    for cluster in begun.clusters.values():
        assert f"clusterPair_{uuid}" in hand.pxctl(cluster, "credentials", "list")[0]
    assert hand.statuses(begun.dev, "cms", "prodcluster") == ("Ready", "Ready")


def validate(page: Page) -> None:
    """What was set up is looked at again."""
    page.get_by_role("button", name="Validate").click()
    expect(page.locator("#pairing-progress")).to_contain_text(
        "is there, and the object store accepts it.", timeout=SLOW_MS
    )
    steps_are_fine(page)
    expect(page.locator("#pairing-progress")).to_contain_text("Validate")


def plan_and_migrate(page: Page) -> None:
    """Row 2, and row 10."""
    page.get_by_role("link", name="New migration").first.click()
    field(page, "cms").check()
    plan = page.locator("#plan")
    for claim in nine.CLAIMS:
        expect(plan).to_contain_text(f"cms/{claim}", timeout=SLOW_MS)
    for kind in ("Deployment", "Route", "Service"):
        expect(plan).to_contain_text(kind)
    field(page, "Name").fill("cmsmigration")
    page.get_by_role("button", name="Migrate", exact=True).click()
    expect(page.locator("#connection")).to_have_attribute("data-state", "connected")
    page.evaluate("window.neverReloaded = true")


def follow(page: Page) -> None:
    """Rows 11 and 12 as our page has them, live."""
    expect(page.locator("#migration-facts")).to_contain_text("Successful", timeout=3 * SLOW_MS)
    assert page.evaluate("window.neverReloaded")
    numbers = page.eval_on_selector_all("#event-rows tr", "rows => rows.map(row => Number(row.dataset.order))")
    assert numbers == list(range(1, len(numbers) + 1))
    expect(page.locator("#migration-totals")).to_contain_text("2 / 2")
    expect(page.locator("#migration-totals")).to_contain_text("9 / 9")
    for claim in nine.CLAIMS:
        expect(page.locator("#volume-rows tr", has_text=claim)).to_contain_text("Migration successful for volume")
    for kind, name in nine.RESOURCES:
        row = page.locator("#resource-rows tr", has_text=name).filter(has_text=kind).first
        expect(row).to_contain_text("Resource migrated successfully")
    expect(page.locator("#resource-rows tr", has_text="PersistentVolume").filter(has_text="pvc-")).to_have_count(2)
    expect(page.locator(".kmw-timeline li[data-look=done]")).to_have_count(4)


def read_stork(page: Page, begun: Beginning) -> None:
    """Rows 11 and 12 in the words of storkctl and oc."""
    page.get_by_role("link", name="As Stork shows it").click()
    table, text = (page.locator("pre").nth(number).inner_text() for number in (0, 1))
    volumes = {
        begun.dev.call(lambda api, claim=claim: api.get("persistentvolumeclaims", "cms", claim))["spec"]["volumeName"]
        for claim in nine.CLAIMS
    }
    described.check_table(table.rstrip("\n"), pair="prodcluster")
    described.check_description(text.rstrip("\n"), pair="prodcluster", namespace="cms", volumes=volumes)


def read_prod(page: Page, begun: Beginning) -> None:
    """Row 13: the same pods, services, deployments, replica sets and route on prod, running, as the page tells it."""
    page.get_by_role("link", name="cms on prod now").click()
    objects = page.get_by_role("table", name="Objects")

    def line(kind: str, name: str) -> Locator:
        """Its row; names of pods and replica sets go on after it."""
        cells = page.get_by_role("rowheader", name=re.compile(rf"^{name}\b"))
        return objects.get_by_role("row").filter(has=page.get_by_role("cell", name=kind, exact=True)).filter(has=cells)

    for name in ("mysql", "wordpress"):
        expect(line("Pod", name)).to_contain_text("Running, 1/1 ready on ip-")
        expect(line("Pod", name)).to_contain_text("us-west-2.compute.internal")
        expect(line("Deployment", name)).to_contain_text("1/1 ready")
        expect(line("ReplicaSet", name)).to_contain_text("1/1 ready")
        expect(line("Service", name)).to_contain_text("ClusterIP")
    expect(line("Route", "wp")).to_be_visible()
    for claim in nine.CLAIMS:
        row = page.get_by_role("table", name="Volumes").locator("tr", has_text=claim)
        expect(row).to_contain_text("us-west-2.compute.internal")
    site = line("Pod", "wordpress").get_by_role("rowheader").inner_text()
    page.go_back()
    open_site(page, begun, site)


def open_site(page: Page, begun: Beginning, pod: str) -> None:
    """Row 14: the command that the page gives, with the pod that it named, shows the site."""
    page.get_by_role("heading", name="The same by hand").click()
    command = page.get_by_text("oc --context prod port-forward")
    expect(command).to_be_visible()
    found = re.search(r"port-forward -n cms <pod> \d+:(\d+)", command.inner_text())
    assert found is not None
    answers = [
        page_at(kubernetes.config.new_client_from_config_dict(cluster.kubeconfig), name, int(found[1]))
        for cluster, name in ((begun.dev, wordpress_of(begun)), (begun.prod, pod))
    ]
    heads, contents = zip(*(answer.split(b"\r\n\r\n", 1) for answer in answers), strict=True)
    assert [head.split(b"\r\n")[0] for head in heads] == [b"HTTP/1.1 200 OK"] * 2
    assert contents[0] == contents[1] != b""


def wordpress_of(begun: Beginning) -> str:
    """The pod that serves the site on dev."""
    pods = begun.dev.call(lambda api: api.list("pods", "cms"))
    return next(str(each["metadata"]["name"]) for each in pods if each["metadata"]["name"].startswith("wordpress-"))


def read_history(page: Page) -> None:
    """Who did what."""
    page.get_by_role("link", name="History").click()
    rows = page.locator("tbody")
    for action in ("cluster.add", "object_store.add", "pair.add", "pair.set-up", "pair.validate", "migration.start"):
        expect(rows).to_contain_text(action)


def take_down(page: Page, begun: Beginning) -> None:
    """The pair goes from the clusters, with its credentials, and from here."""
    page.get_by_role("link", name="Cluster pairs").first.click()
    page.get_by_role("link", name="dev-to-prod").click()
    page.get_by_role("link", name="Take down").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label(re.compile("Delete the object-store credentials")).check()
    dialog.get_by_role("button", name="Take down").click()
    progress = page.locator("#pairing-progress")
    expect(progress).to_contain_text("is gone on both clusters", timeout=SLOW_MS)
    expect(progress.get_by_text("Under way …")).to_have_count(0, timeout=SLOW_MS)
    assert not begun.dev.call(lambda api: api.list(f"clusterpairs.{hand.STORK}"))
    for cluster in begun.clusters.values():
        assert not cluster.call(storage_of).credentials


@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_person_sets_portworx_up_and_moves_the_cms(browser: Browser, begun: Beginning) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-US")
    context.set_default_timeout(SLOW_MS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    sign_in(page, begun)
    for name in ("dev", "prod"):
        add_cluster(page, begun, name)
    read_volumes(page, begun)
    add_store(page, begun)
    add_pair(page)
    set_up(page, begun)
    validate(page)
    plan_and_migrate(page)
    follow(page)
    read_stork(page, begun)
    page.go_back()
    read_prod(page, begun)
    read_history(page)
    # What the page said, seen with other eyes.
    for each in begun.prod.call(lambda api: api.list("deployments.apps", "cms")):
        assert each["status"]["readyReplicas"] == 1
    for claim in nine.CLAIMS:
        assert not differences(begun.dev.volume_path("cms", claim), begun.prod.volume_path("cms", claim))
    take_down(page, begun)
    # What a later choice in the form of the pair replaces is aborted, and htmx says so.
    assert [each for each in complaints if not each.startswith(ABORTED)] == []
    context.close()
