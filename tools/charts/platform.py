"""Values of helm/fairlead-platform: what all models share."""
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


class PlatformImages(Images):
    """Where images come from."""

    tools: Image = Image(repository="localhost/fairlead/tools")
    """Release driver, scheduled runs, and the Job that makes the bucket."""

    mlflow: Image = Image(repository="localhost/fairlead/mlflow")
    """MLflow's server, its migrations, backup and restore."""

    versitygw: Image = Image(repository="docker.io/versity/versitygw", tag="v1.8.0")
    """The S3 server. It is made elsewhere, so it has a tag of its own."""


class Resources(Values):
    """Resources of one container, as Kubernetes writes them."""

    requests: dict[str, Quantity] = {"cpu": "50m", "memory": "128Mi"}
    """What the scheduler reserves."""

    limits: dict[str, Quantity] = {"memory": "512Mi"}
    """What the container cannot exceed. No limit of CPU: it would only slow down what has nothing else to wait for."""


class Volume(Values):
    """A volume of one pod."""

    size: Quantity = "10Gi"
    """Space asked for."""

    storage_class_name: str = ""
    """StorageClass; empty: the cluster's default."""

    existing_claim: str = ""
    """A PersistentVolumeClaim that is there already; the values above are then not read."""


# ----------------------------------------------------------------------------------------- namespaces


class Runs(Values):
    """Where pipelines run."""

    namespaces: list[str] = ["fairlead-runs"]
    """Namespaces of task pods. Each gets the Role `RELEASE-runner` and the ServiceAccounts `fairlead-runner` (it starts and
    follows pods) and `fairlead-task` (no rights, no token)."""

    runner_annotations: Labels = {}
    """Annotations of the ServiceAccount fairlead-runner, such as those that give it a cloud role."""

    task_annotations: Labels = {}
    """Annotations of the ServiceAccount fairlead-task."""


class Releases(Values):
    """Where models are served."""

    namespaces: list[str] = ["fairlead-serving"]
    """Namespaces the release driver looks after. Each gets the Roles `RELEASE-driver` and `RELEASE-monitor`."""

    monitor_annotations: Labels = {}
    """Annotations of the ServiceAccount fairlead-monitor, which may only read what is served, for monitoring jobs."""


class Namespaces(Values):
    """The namespaces named in `runs` and `releases`."""

    create: bool = False
    """Make them, with the Pod Security label `restricted`; they stay when the release is uninstalled. Usually manifests/base
    makes them, because a namespace should not go away with a chart."""


class Make(Values):
    """Whether an object is made."""

    create: bool = True
    """Make it."""


class Clients(Values):
    """What task pods and serving pods read by fixed names, in every namespace of `runs` and `releases`."""

    environment: Make = Make()
    """ConfigMap `fairlead-environment`: MLFLOW_TRACKING_URI, FAIRLEAD_STORE, AWS_ENDPOINT_URL, AWS_REGION."""

    credentials: Make = Make(create=False)
    """Secret `fairlead-store` with the keys of store.credentials. Only possible where the keys are values; a Secret that exists
    already has to be copied by whoever made it. True: make it."""

    cluster_domain: str = "cluster.local"
    """DNS domain of the cluster, for the addresses in fairlead-environment."""


# ------------------------------------------------------------------------------------------- components


class Driver(Values):
    """The release driver: it moves traffic to new revisions of the models in releases.namespaces."""

    enabled: bool = True
    """Run it."""

    replicas: int = Field(1, ge=1, le=2)
    """1 or 2. One works at a time (a Lease says which); a second takes over within seconds where one would need a new pod."""

    resources: Resources = Resources(requests={"cpu": "50m", "memory": "128Mi"}, limits={"memory": "512Mi"})

    service_account: ServiceAccount = ServiceAccount()
    """The driver's identity, the only one here with rights besides those in runs.namespaces; empty name: `RELEASE-driver`."""

    extra_args: list[str] = []
    """More arguments for `fairlead driver`."""


class Database(Values):
    """Where MLflow keeps runs and models."""

    existing_secret: str = ""
    """Secret with the URI of a PostgreSQL database, `postgresql+psycopg://USER:PASSWORD@HOST:5432/NAME`. Empty: SQLite on the
    volume, which one server can use."""

    key: str = "uri"
    """Key in the Secret."""


class TrackingVolume(Volume):
    """Volume of MLflow: the SQLite database, and artifacts unless they are in the store."""

    keep: bool = True
    """Leave the volume when the release is uninstalled; a later release of the same name finds it again."""


class Gateway(Values):
    """A Gateway that exists."""

    name: str = "gateway"
    """Its name."""

    namespace: str = "gateway-system"
    """Its namespace; its listeners must admit routes from the release's namespace."""

    section_name: str = ""
    """One listener of it; empty: all that fit."""


class Route(Values):
    """An HTTPRoute to MLflow, for people. MLflow asks nobody for a password: put something before it that does."""

    enabled: bool = False
    """Make the HTTPRoute; needs the Gateway API."""

    gateway: Gateway = Gateway()

    hosts: list[str] = []
    """Host names under which MLflow is reached. They are allowed as Host and as origin of a browser's requests."""


class Tracking(Values):
    """MLflow's tracking server and model registry. The Service is `RELEASE-tracking`, port 5000; pods would take a Service
    called mlflow for configuration (MLFLOW_PORT)."""

    enabled: bool = True
    """Run it. False: `uri` says where MLflow is."""

    uri: str = ""
    """MLflow's address if it is not run here, for fairlead-environment."""

    replicas: int = Field(1, ge=1)
    """Servers. More than one needs PostgreSQL, and artifacts in the store."""

    workers: int = Field(1, ge=1, le=32)
    """Processes of a server. With SQLite, which lets one write at a time, more than one only wait for each other; with
    PostgreSQL 4 are MLflow's default, at about 350 MiB each."""

    database: Database = Database()
    volume: TrackingVolume = TrackingVolume()

    artifacts: str = Field("", pattern=r"^(volume|s3://[^/]+(/.*)?|)$")
    """Where MLflow keeps artifacts, through its own server: an `s3://bucket/prefix`, or `volume`. Empty: under mlflow/ in the
    store's bucket, or on the volume if there is no store."""

    allowed_hosts: list[str] = []
    """Host headers that MLflow answers besides the Service's names, localhost and route.hosts, as MLflow's --allowed-hosts takes
    them (`name`, `name:port`, wildcards). Others get 403, against DNS rebinding."""

    allowed_origins: list[str] = []
    """Origins of browser requests that may change something, besides http and https at route.hosts."""

    route: Route = Route()

    resources: Resources = Resources(requests={"cpu": "100m", "memory": "512Mi"}, limits={"memory": "1Gi"})

    extra_args: list[str] = []
    """More arguments for `mlflow server`."""


class Credentials(Values):
    """Keys of the store: a Secret that exists, or the two values. One of them is required where the S3 server is run here. The
    chart makes no keys up: they would differ each time a GitOps tool renders it."""

    existing_secret: str = ""
    """Secret in the release's namespace with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, such as fairlead-store."""

    access_key_id: str = ""
    """Access key, if there is no Secret."""

    secret_access_key: str = ""
    """Secret key, if there is no Secret. It is then in the release's values."""


class StoreServer(Values):
    """An S3 server in the cluster (versitygw on a volume), for a start. It has one user and one pod; production has an object
    store."""

    enabled: bool = True
    """Run it. False: the store is `endpoint`, or AWS."""

    volume: Volume = Volume(size="20Gi")

    metadata: Literal["sidecar", "xattr"] = "sidecar"
    """Where it keeps objects' metadata: in files beside them, which works on every volume, or in extended attributes of the file
    system, which is faster and does not work on NFS. Not to be changed once there are objects."""

    resources: Resources = Resources(requests={"cpu": "50m", "memory": "128Mi"}, limits={"memory": "512Mi"})


class Store(Values):
    """The object store: bundles, projects, snapshots, MLflow's artifacts, backups."""

    server: StoreServer = StoreServer()

    bucket: str = Field("fairlead", pattern=r"^([a-z0-9][-.a-z0-9]{1,61}[a-z0-9]|)$")
    """Bucket. Empty: there is no store, and server.enabled is false."""

    prefix: str = Field("store", pattern=r"^[^/].*[^/]$|^[^/]?$")
    """Prefix of fairlead's own objects in the bucket."""

    create_bucket: bool = True
    """Run a Job after each install and upgrade that makes the bucket if it is missing."""

    endpoint: str = Field("", pattern=r"^(https?://.+|)$")
    """Address of the store if it is not run here. Empty: AWS."""

    region: str = "us-east-1"
    """Region; a store that is not AWS usually takes any."""

    credentials: Credentials = Credentials()


# ------------------------------------------------------------------------------------ backup and restore


class Backup(Values):
    """Copies of MLflow's database, with a list of all artifacts; artifacts that are on the volume are copied too. SQLite only:
    PostgreSQL has tools of its own (pg_dump, base backups), and none is in the image."""

    enabled: bool = False
    """Make the CronJob."""

    schedule: str = "23 2 * * *"
    """When, in cron's five fields."""

    time_zone: str = "Etc/UTC"
    """Time zone of `schedule`."""

    destination: str = Field("", pattern=r"^(s3://[^/]+(/.*)?|)$")
    """Where to, an `s3://bucket/prefix`. Empty: under backups/ in the store's bucket. A store that is not on the same disks is
    better."""

    endpoint: str = Field("", pattern=r"^(https?://.+|)$")
    """Address of the destination's store. Empty: the address of the store."""

    existing_secret: str = ""
    """Secret with the keys of the destination. Empty: those of the store."""

    keep: int = Field(14, ge=1)
    """How many backups are kept; two weeks of nights."""

    resources: Resources = Resources(requests={"cpu": "50m", "memory": "256Mi"}, limits={"memory": "1Gi"})


class Restore(Values):
    """Bring MLflow's database back. It happens before the server starts, once for each value."""

    from_: str = Field("", alias="from", pattern=r"^((\d{8}T\d{6}Z|latest|before-[0-9a-f]{12})(#.+)?|)$")
    """Name of a backup, such as 20260131T022300Z, or `latest`, or `before-REVISION`, the copy made on the volume when that
    schema was upgraded. The database that is replaced is kept on the volume. Restored again is only what has another name
    than the last time: add `#2` to repeat one."""


# ---------------------------------------------------------------------------------------- scheduled runs


class Schedule(Values):
    """A training run that is started by the clock."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,18}[a-z0-9])?$")
    """Name of the CronJob, after the release's; at most 20 characters."""

    schedule: str
    """When, in cron's five fields."""

    project: str = Field(pattern=r"^.+@sha256:[0-9a-f]{64}$")
    """What `fairlead push` printed: the project's archive in the store, and its digest."""

    namespace: str = ""
    """One of runs.namespaces; empty: the first."""

    time_zone: str = "Etc/UTC"
    """Time zone of `schedule`."""

    suspend: bool = False
    """Leave it out until further notice."""

    deadline_seconds: int = Field(86400, ge=60)
    """Longest time for a run. The next one does not start before this one has ended."""

    args: list[str] = []
    """More arguments for `fairlead run`, such as --source-root=/data."""


# ------------------------------------------------------------------------------- network and monitoring


class NetworkPolicy(Values):
    """What may reach the platform's pods and what they may reach. Everything else is denied. Peers are written as Kubernetes
    writes them."""

    enabled: bool = True
    """Make NetworkPolicies for the pods of this chart. They have an effect only where the network plugin enforces them."""

    runs: bool = True
    """Make one in each of runs.namespaces too, for the pods of runs."""

    client_namespaces: list[str] = []
    """Namespaces whose pods may reach MLflow and the store, besides those of runs and releases, such as Kubeflow Pipelines'
    kubeflow."""

    gateway_namespaces: list[str] = []
    """Namespaces of the gateway's proxies, which may reach MLflow if it has a route. Empty: the Gateway's namespace."""

    monitoring_namespace: str = "monitoring"
    """Namespace of Prometheus, which reads the driver's metrics."""

    api_server: list[KubernetesObject] = []
    """Peers that are the Kubernetes API, for driver and orchestrators, such as {ipBlock: {cidr: 10.96.0.1/32}}. Empty: any
    address, on the ports 443 and 6443; the API server is not a pod and cannot be selected."""

    dns: list[KubernetesObject] = [
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}},
        {"ipBlock": {"cidr": "169.254.20.10/32"}},
    ]
    """Peers that answer DNS: the cluster's, and the address of NodeLocal DNSCache."""

    external_store: list[KubernetesObject] = []
    """Peers that are a store outside (port 443 or that of store.endpoint). Empty: any address on that port."""

    database: list[KubernetesObject] = []
    """Peers that are the PostgreSQL database, on port 5432. Empty: any address on that port."""

    proxies: list[KubernetesObject] = []
    """Peers that are the HTTP proxies of `proxy`, on any port."""

    extra_egress: list[KubernetesObject] = []
    """More rules for what pods of runs may reach: the data they read, as Kubernetes writes egress rules."""


class Rules(Values):
    """Alerts, as a PrometheusRule (monitoring.coreos.com). Those on MLflow, the store and backups read kube-state-metrics."""

    enabled: bool = False
    """Make the PrometheusRule; needs the Prometheus operator."""

    labels: Labels = {}
    """Its labels; many Prometheus installations select rules by one."""

    stale_driver_seconds: int = Field(120, ge=10)
    """Alert when the driver has not finished a round for so long. A round takes seconds."""

    backup_age_hours: int = Field(50, ge=1)
    """Alert when the last good backup is older: two nights and some, so that one failure alone does not wake anybody."""

    runbook_url: str = ""
    """Page of your runbook; `#` and the alert's name are added. Empty: the alerts point at the section Runbook of the chart's
    README."""


class Monitoring(Values):
    """Metrics of the release driver, and alerts."""

    scrape: Literal["annotations", "serviceMonitor", "none"] = "annotations"
    """How Prometheus finds the driver: prometheus.io annotations on its pods, or a ServiceMonitor of the Prometheus operator."""

    interval: str = "15s"
    """Scrape interval of a ServiceMonitor."""

    monitor_labels: Labels = {}
    """Labels of the ServiceMonitor; many Prometheus installations select them by one."""

    rules: Rules = Rules()


class PlatformValues(ChartValues):
    """Values of the chart fairlead-platform."""

    images: PlatformImages = PlatformImages()

    runs: Runs = Runs()
    releases: Releases = Releases()
    namespaces: Namespaces = Namespaces()
    clients: Clients = Clients()

    service_account: ServiceAccount = ServiceAccount()
    """The identity of MLflow, the store, and their Jobs: no rights, no token. Annotations can give it a cloud role."""

    driver: Driver = Driver()
    tracking: Tracking = Tracking()
    store: Store = Store()
    backup: Backup = Backup()
    restore: Restore = Restore()

    schedules: list[Schedule] = []
    """Training runs started by the clock, each a CronJob in a namespace of runs."""

    network_policy: NetworkPolicy = NetworkPolicy()
    monitoring: Monitoring = Monitoring()
