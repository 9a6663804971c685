"""Values of helm/fairlead-model: one served model."""
# ruff: noqa: RUF012 - pydantic copies defaults

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tools.charts.common import (
    ChartValues,
    Image,
    Images,
    KubernetesObject,
    Labels,
    Quantity,
    ServiceAccount,
    Values,
)


class ModelImages(Images):
    """Where images come from."""

    serve: Image = Image(repository="localhost/fairlead/serve")
    """Serves bundles of the format onnx."""

    serve_sklearn: Image = Image(repository="localhost/fairlead/serve-sklearn")
    """Serves bundles of the formats treelite and skops; larger, since it brings scipy and scikit-learn."""

    tools: Image = Image(repository="localhost/fairlead/tools")
    """Fetches and verifies the bundle, ships the prediction log, and makes the scored request of `helm test`."""


# ----------------------------------------------------------------------------------------------- bundle


class BundleVolume(Values):
    """A volume that already holds the bundle, in place of fetching it."""

    claim_name: str = ""
    """PersistentVolumeClaim in the release's namespace, readable by all nodes that serve. Empty: no volume."""

    path: str = ""
    """Folder of the bundle in the volume; empty: its root."""


class Probe(Values):
    """A request that the model must be able to answer."""

    rows: list[KubernetesObject] = []
    """Example rows, as in a request to /predict. `helm test` and the release driver send them and expect a prediction for
    each."""


class Bundle(Values):
    """The model to serve. `fairlead bundle values champion` prints this section for a registered model.

    Where it comes from is one of: `uri` (an init container fetches and verifies it), `volume`, `baked`.
    """

    name: str = ""
    """Name the bundle was built with."""

    digest: str = ""
    """The bundle's digest, 64 hexadecimal digits. Empty: there is no model yet; the release installs everything that does
    not need one."""

    uri: str = ""
    """Where an init container fetches it from: `s3://bucket/prefix/bundles/DIGEST.tar`. It verifies the digest of every
    file."""

    format: Literal["onnx", "treelite", "skops"] = "onnx"
    """Format of the model inside; it selects the image."""

    baked: bool = False
    """The bundle is inside the serving image, at /bundle; set images.serve to that image. Nothing is fetched."""

    volume: BundleVolume = BundleVolume()

    existing_secret: str = "fairlead-store"
    """Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the store, read by the init container only. It may be missing:
    credentials can come from the ServiceAccount instead."""

    environment: str = "fairlead-environment"
    """ConfigMap with AWS_ENDPOINT_URL, AWS_REGION and the like, read by the init container only. It may be missing."""

    probe: Probe = Probe()


# ---------------------------------------------------------------------------------------------- capacity


class Capacity(Values):
    """What a load test found one pod to need; the bundle's capacity file has these keys."""

    cpu: Quantity = ""
    """CPU of a pod; takes the place of resources.requests.cpu."""

    memory: Quantity = ""
    """Memory of a pod; takes the place of resources.requests.memory and resources.limits.memory."""

    replicas: int = Field(0, ge=0)
    """Pods the expected load needs; raises scale.minReplicas. 0: not known."""


class Resources(Values):
    """Resources of the serving container. Extended ones, such as nvidia.com/gpu, go into limits."""

    requests: dict[str, Quantity] = {"cpu": "250m", "memory": "512Mi"}
    """What the scheduler reserves. The default serves some thousand small requests a second with room for the model."""

    limits: dict[str, Quantity] = {"memory": "512Mi"}
    """What a pod cannot exceed. Memory as requested, so that a leak ends this pod and not its neighbours; no limit of CPU,
    because it would throttle in the middle of a request."""


class PodsMetric(Values):
    """A metric of the pods (custom.metrics.k8s.io) to scale on, served by an adapter such as prometheus-adapter."""

    name: str = ""
    """Name of the metric, such as fairlead_requests_in_flight. Empty: none."""

    average_value: Quantity = ""
    """Wanted average over the pods."""


class ScaleDown(Values):
    """How fast pods are taken away."""

    window_seconds: int = Field(300, ge=0, le=3600)
    """Only what was too much for so long is taken away; Kubernetes' default. Shorter windows flap."""

    percent: int = Field(25, ge=1, le=100)
    """Share of the pods that goes at once in a minute; a quarter, so that a wrong decision can be noticed (Kubernetes'
    default is all)."""


class ScaleUp(Values):
    """How fast pods are added."""

    window_seconds: int = Field(0, ge=0, le=3600)
    """How long a load must last before pods are added. At once by default: a pod too many costs less than requests lost."""

    percent: int = Field(100, ge=1)
    """Growth in 15 seconds; by default doubling, or 4 pods if that is more."""


class Scale(Values):
    """How many pods. Each slot has its own HorizontalPodAutoscaler: one average over both would hide an overloaded
    candidate."""

    min_replicas: int = Field(2, ge=1, le=10000)
    """Pods of the live slot at least; 2, so that the loss of one is not the loss of all."""

    max_replicas: int = Field(10, ge=1, le=10000)
    """Pods of a slot at most. During a release both slots have pods."""

    autoscale: bool = True
    """Make HorizontalPodAutoscalers. They need metrics-server, or an adapter for podsMetric. Without them a slot has
    minReplicas pods."""

    cpu_percent: int = Field(70, ge=0, le=1000)
    """Wanted CPU use, as a share of the CPU requested; 70 leaves room until new pods are ready. 0: not on CPU."""

    pods_metric: PodsMetric = PodsMetric()
    scale_down: ScaleDown = ScaleDown()
    scale_up: ScaleUp = ScaleUp()

    max_unavailable: int | str = Field(1, json_schema_extra={"not": {"enum": [0, "0", "0%"]}})
    """Pods of a slot that an eviction may take at once (PodDisruptionBudget), a number or a percentage. Never 0: nodes
    could not be drained. With one pod this allows its eviction, and a gap in service."""


# ---------------------------------------------------------------------------------------------- serving


class SecretKey(Values):
    """One key of a Secret."""

    name: str = ""
    """Secret in the release's namespace; empty: none."""

    key: str = ""
    """Key in it."""


class Grpc(Values):
    """The Open Inference Protocol over gRPC."""

    enabled: bool = False
    """Open the port `grpc` of pods and Services. Clients call the Services; no GRPCRoute is made."""

    port: int = Field(9000, ge=1024, le=65535)
    """Its number, in pods and Services."""


class Limits(Values):
    """What one pod takes on. 0: the server's own limit."""

    body_bytes: int = Field(0, ge=0)
    """Size of a request's body; a larger one is answered 413."""

    rows: int = Field(0, ge=0)
    """Rows of a request; more are answered 413."""

    concurrency: int = Field(0, ge=0, le=256)
    """Threads for requests that take long; by default one for each CPU the pod may use."""

    queue: int = Field(0, ge=0)
    """Requests that may wait for a thread; one more is answered 503."""


class Tracing(Values):
    """OpenTelemetry traces."""

    endpoint: str = Field("", pattern="^(https?://.+)?$")
    """Base URL of a collector that takes OTLP over HTTP, such as http://collector.observability:4318. Empty: no traces."""

    sample: float = Field(0.01, ge=0, le=1)
    """Share of requests that are traced, of those that come without a decision of their caller (W3C traceparent)."""


class Serving(Values):
    """What the server offers, and how much it takes on."""

    apis: list[Literal["graphql"]] = []
    """Interfaces that are off unless listed here, because they bring large libraries: graphql. All others are on."""

    grpc: Grpc = Grpc()

    workers: int = Field(1, ge=1, le=128)
    """Processes in a pod that share its port. One pod for each CPU is easier to schedule and to scale; more workers pay where a
    pod has several CPUs and its memory is dear."""

    limits: Limits = Limits()
    tracing: Tracing = Tracing()


class Jwt(Values):
    """JSON Web Tokens as `Authorization: Bearer …`. On if there is a URL or a key."""

    jwks_url: str = Field("", pattern="^(https://.+)?$")
    """Where the issuer publishes its keys, over https. Its addresses belong into networkPolicy.services."""

    public_key_secret: SecretKey = SecretKey(key="public.pem")
    """Or else the issuer's public key as PEM."""

    algorithm: Literal[
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
    ] = "RS256"
    """The one algorithm that is taken."""

    issuer: str = ""
    """The `iss` that tokens must have."""

    audience: str = ""
    """The `aud` that tokens must have."""


class Access(Values):
    """Who may ask, and how often. By default everybody whom the network lets through. Probes and /metrics are always open."""

    keys_secret: SecretKey = SecretKey(key="keys")
    """API keys, a line `caller: sha256:DIGEST` for each, of which a client sends the key as X-API-Key. A change of the Secret
    takes effect without a restart."""

    jwt: Jwt = Jwt()

    internal_token_secret: SecretKey = SecretKey(key="token")
    """Credential (16 bytes or more) of calls that are no traffic: copies to a shadow, and `helm test`. Needed with keys or
    tokens, which neither of them has."""

    rate_per_second: float = Field(0, ge=0)
    """Requests a second of one caller to one pod; more are answered 429. Where callers are not told apart, of all together. 0:
    no limit."""

    cors_origins: list[str] = []
    """Sites whose pages may ask from a browser, such as https://shop.example.com; `*`: all. Empty: none."""


class Shadow(Values):
    """Copies of live requests for another server, whose answers are compared with the ones that were given."""

    url: str = Field("", pattern="^(https?://[^/]+)?$")
    """Scheme, host and port of the other server, such as http://fraud-next. Empty: no copies. If it is no pod of this model, it
    belongs into networkPolicy.services."""

    sample: float = Field(1, ge=0, le=1)
    """Share of requests that are copied; at most 100 a second of one worker."""


# ------------------------------------------------------------------------------------------ prediction log


class LogVolume(Values):
    """A volume as the log's target, in place of a bucket."""

    claim_name: str = ""
    """PersistentVolumeClaim in the release's namespace that pods of all nodes can write at once. Empty: no volume."""

    path: str = ""
    """Folder in the volume; empty: its root."""


class Log(Values):
    """The prediction log: what was asked and answered. The server writes it to a disk of the pod; a sidecar turns that into
    Parquet files of the target, and ends after the server, with its last records.

    Which inputs are in it is said in the project (`serve.log.inputs`), and travels with the bundle: without that, none.
    """

    enabled: bool = False
    """Keep the log. The target is one of `target` and `volume`."""

    target: str = Field("", pattern="^(s3://.+)?$")
    """`s3://bucket/prefix`, one for each model. All pods write there."""

    volume: LogVolume = LogVolume()

    existing_secret: str = "fairlead-store"
    """Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the bucket, read by the sidecar only. It may be missing:
    credentials can come from the ServiceAccount instead."""

    environment: str = "fairlead-environment"
    """ConfigMap with AWS_ENDPOINT_URL, AWS_REGION and the like, read by the sidecar only. It may be missing."""

    keep_days: float = Field(0, ge=0)
    """Delete from the target what is older. 0: keep everything."""

    ship_every_seconds: int = Field(300, ge=1, le=86400)
    """How long records wait in the pod to be written together; a lost node takes so much of the log with it. Short waits make
    many small files."""

    salt_secret: SecretKey = SecretKey(key="salt")
    """Salt (16 bytes or more) of what the project has hashed; the same for all pods and slots, or the hashes do not match.
    Without one, such fields are left out."""

    size_mebibytes: int = Field(1024, ge=128)
    """Room on the node for records that could not be shipped yet. At four fifths of it the oldest are deleted and counted; at
    all of it Kubernetes would evict the pod."""

    resources: Resources = Resources(requests={"cpu": "20m", "memory": "128Mi"}, limits={"memory": "512Mi"})
    """Of the sidecar. Memory is for 32 MB of records that become one table."""


# ----------------------------------------------------------------------------------------------- traffic


class Tls(Values):
    """TLS of the release's own Gateway."""

    existing_secret: str = ""
    """Secret of type kubernetes.io/tls for an HTTPS listener. Empty: an HTTP listener."""


class Gateway(Values):
    """The Gateway (gateway.networking.k8s.io) whose listeners take the traffic."""

    name: str = "gateway"
    """An existing Gateway; read if `create` is false."""

    namespace: str = "gateway-system"
    """Its namespace; its listeners must admit routes from the release's namespace."""

    section_name: str = ""
    """One listener of it; empty: all that fit."""

    create: bool = False
    """Make a Gateway of the release's own, named like the release, in its namespace. Usually one Gateway serves many models."""

    class_name: str = ""
    """GatewayClass of a Gateway made here."""

    annotations: Labels = {}
    """Annotations of a Gateway made here, such as cert-manager.io/cluster-issuer."""

    tls: Tls = Tls()


class Traffic(Values):
    """How requests get to the model, and how long they may take."""

    backend: Literal["gateway", "service"] = "gateway"
    """gateway: an HTTPRoute divides traffic by weights. service: the Service alone, whose selector is switched from slot to
    slot; for callers inside the cluster and for clusters without Gateway API."""

    gateway: Gateway = Gateway()

    host: str = ""
    """Host name of the model; empty: any host that the Gateway takes."""

    preview_host: str = ""
    """Host name under which the slot that is not live answers, before it gets traffic. Empty: no preview."""

    path_prefix: str = Field("/", pattern="^/")
    """Path under which the model answers; several models can share a host."""

    strip_prefix: bool = False
    """Take the prefix off before the request reaches the model, whose paths begin at / (/predict). Needed with a prefix
    other than /."""

    timeout_seconds: int = Field(10, ge=1, le=3600)
    """Longest time for an answer. The server ends slower requests, and a pod that stops waits so long for requests in
    flight: its grace period is derived from this."""

    propagation_seconds: int = Field(5, ge=1, le=300)
    """How long a stopping pod goes on as before, until gateways and nodes have noticed that it leaves (preStop). Raise it for
    load balancers that are told late; 15 is usual in clouds."""

    gateway_keep_alive_seconds: int = Field(90, ge=1, le=86400)
    """How long the gateway keeps an idle connection to a pod (90 s in Traefik). The server keeps its side 5 s longer: were
    it the first to close, it could do so while a request is on its way."""


class NetworkPeer(Values):
    """Somewhere on the network: pods of a namespace, or addresses."""

    namespace: str = ""
    """All pods of this namespace."""

    cidr: str = ""
    """Addresses, such as 10.0.0.0/8; read if there is no namespace."""

    port: int = Field(0, ge=0, le=65535)
    """TCP port; 0: all."""


class NetworkPolicy(Values):
    """What may reach the pods and what they may reach. Everything else is denied. Health checks by the node are always
    allowed."""

    enabled: bool = True
    """Make a NetworkPolicy. It has an effect only where the network plugin enforces it."""

    gateway_namespaces: list[str] = []
    """Namespaces of the gateway's proxies; empty: the namespace of the Gateway. With the backend `gateway` only."""

    monitoring_namespace: str = "monitoring"
    """Namespace of Prometheus, which reads /metrics."""

    platform_namespace: str = "fairlead-system"
    """Namespace of the release driver, which probes a slot before it gets traffic."""

    client_namespaces: list[str] = []
    """Namespaces whose pods may call the model directly."""

    dns: list[NetworkPeer] = [
        NetworkPeer(namespace="kube-system"),
        NetworkPeer(cidr="169.254.20.10/32"),
    ]
    """DNS servers (port 53, whatever `port` says): the cluster's, and the address of NodeLocal DNSCache."""

    store: list[NetworkPeer] = [NetworkPeer(namespace="fairlead-system", port=7070)]
    """The bundle store, and the bucket of the log: by default the platform chart's. For S3 give its addresses and port 443.
    Used where a bundle is fetched or log.target is set."""

    services: list[NetworkPeer] = []
    """What the server calls while it answers: the issuer of access.jwt.jwksUrl, the collector of serving.tracing, another
    model as shadow."""

    proxies: list[NetworkPeer] = []
    """The HTTP proxies of `proxy`."""

    extra_ingress: list[KubernetesObject] = []
    """More rules for what may reach the pods, as Kubernetes writes them."""

    extra_egress: list[KubernetesObject] = []
    """More rules for what the pods may reach."""


# ------------------------------------------------------------------------------------ releases, monitoring


class ReleaseProbe(Values):
    """The scored request that a new revision must answer before it gets traffic."""

    path: str = Field("/predict", pattern="^/")
    """Path of the request; its body is bundle.probe."""

    timeout_seconds: int = Field(5, ge=1, le=60)
    """Longest time for its answer. The driver looks at no other model meanwhile."""


class Release(Values):
    """How the release driver replaces what is live (mode managed)."""

    window_seconds: int = Field(600, ge=0, le=604800)
    """How long the old slot stays warm after a switch, for a rollback without a cold start; ten minutes show most faults."""

    ready_seconds: int = Field(600, ge=1, le=604800)
    """How long a new revision may take to become ready, pulling images and fetching the bundle included."""

    profile: Literal["default", "demo"] = "default"
    """demo: short times, for demonstrations and tests."""

    plan: KubernetesObject = {}
    """How traffic moves, and what stops it: the section `release` of the project file (strategy, steps, guards …), which the
    driver checks. Empty: all traffic at once, after the probe. Weights need traffic.backend gateway."""

    objective_milliseconds: float = Field(50, gt=0, le=10000)
    """A slower answer counts as slow for the plan's guard of latency."""

    probe: ReleaseProbe = ReleaseProbe()


class Rules(Values):
    """Alerts, as a PrometheusRule (monitoring.coreos.com)."""

    enabled: bool = False
    """Make the PrometheusRule; needs the Prometheus operator."""

    labels: Labels = {}
    """Its labels; many Prometheus installations select rules by one."""

    availability_percent: float = Field(99.9, gt=0, lt=100)
    """Objective: share of requests answered without a 5xx, over 30 days. The alerts watch how fast the rest, the error
    budget, burns."""

    latency_milliseconds: float = Field(50, gt=0, le=10000)
    """Objective: latencyPercent of answers take no longer. Resolved by the buckets of fairlead_request_seconds, up to 10 s."""

    latency_percent: float = Field(99, gt=0, lt=100)
    """The share of answers meant in latencyMilliseconds."""

    runbook_url: str = ""
    """Page of your runbook; `#` and the alert's name are added. Empty: the alerts point at the section Runbook of the
    chart's README."""


class Dashboard(Values):
    """A Grafana dashboard in a ConfigMap, for Grafana's dashboard sidecar."""

    enabled: bool = False
    """Make the ConfigMap."""

    labels: Labels = {"grafana_dashboard": "1"}
    """Labels by which the sidecar finds it; the default is the sidecar's."""


class Monitoring(Values):
    """Metrics, alerts, dashboard."""

    scrape: Literal["annotations", "podMonitor", "serviceMonitor", "none"] = "annotations"
    """How Prometheus finds the pods: prometheus.io annotations on them, or a PodMonitor or ServiceMonitor of the Prometheus
    operator."""

    interval: str = "15s"
    """Scrape interval of a PodMonitor or ServiceMonitor."""

    monitor_labels: Labels = {}
    """Labels of the PodMonitor or ServiceMonitor; many Prometheus installations select them by one."""

    rules: Rules = Rules()
    dashboard: Dashboard = Dashboard()


# ------------------------------------------------------------------------------------------------ static


class Slot(Values):
    """One slot of mode static."""

    bundle: Bundle = Bundle()

    image: Image = Image()
    """The serving image of this slot; what is empty here comes from images.serve or images.serveSklearn."""

    replicas: int = Field(2, ge=0)
    """Pods; with scale.autoscale the least number. 0: none, and no autoscaler."""

    weight: int = Field(0, ge=0, le=1000000)
    """Share of the traffic with the backend gateway, relative to the other slot's."""


class Static(Values):
    """Mode static: both slots by values, for those who drive by hand, or as a base for Argo Rollouts or Flagger."""

    live: Literal["blue", "green"] = "blue"
    """The slot that the Service selects. The preview host shows the other one."""

    blue: Slot = Slot(weight=100)
    green: Slot = Slot(replicas=0)


class Probes(Values):
    """Health checks: ready means that the model is loaded and warmed, live that the process answers."""

    startup_seconds: int = Field(120, ge=2)
    """How long the server may take to load the model before it is restarted. A small one takes about 3 s."""


class ModelValues(ChartValues):
    """All values of the chart."""

    mode: Literal["managed", "static"] = "managed"
    """managed: the chart says what is wanted, the release driver of fairlead-platform brings it into traffic through the
    idle slot. static: the chart renders both slots and the division of traffic from `static`."""

    bundle: Bundle = Bundle()
    """The model to serve (mode managed). `fairlead bundle values champion` prints this section for a registered model.
    Where the bundle comes from is one of: `uri` (an init container fetches and verifies it), `volume`, `baked`."""

    images: ModelImages = ModelImages()
    capacity: Capacity = Capacity()
    resources: Resources = Resources()
    serving: Serving = Serving()
    access: Access = Access()
    shadow: Shadow = Shadow()
    log: Log = Log()
    scale: Scale = Scale()
    traffic: Traffic = Traffic()
    release: Release = Release()
    static: Static = Static()
    probes: Probes = Probes()
    network_policy: NetworkPolicy = NetworkPolicy()
    monitoring: Monitoring = Monitoring()
    service_account: ServiceAccount = ServiceAccount()
