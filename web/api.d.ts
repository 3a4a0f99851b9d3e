/** @file The API's types, made from openapi.json by `make types`: change the API, not this file. */

/** The routes of this API, as `METHOD /path`. */
export interface Endpoints {
  endpoints: string[];
}

/** `healthy` when every place is `up`, `degraded` when some are, `unhealthy` when none is; each place's state in words (`up`, or what is wrong). The gateway's places are called `gateway/<name>`. */
export interface Health {
  status: "degraded" | "healthy" | "unhealthy";
  places: Record<string, string>;
}

/** Names at one level, folders with a slash at their end; with details, an entry each. `cursor` leads to the next page and is absent on the last. */
export interface Listing {
  content: (string | Entry)[];
  cursor?: string | null;
}

/** One name with its details. A folder has only its name and type; `size` is in bytes. */
export interface Entry {
  name: string;
  type: "folder" | "object";
  size?: number | null;
  etag?: string | null;
  last_modified?: string | null;
  storage_class?: string | null;
}

/** A URL, what must be sent with it, until when it works, where it leads and why. `headers` are signed: the client sends each as given. `expires_at` is the true end: the least of what was asked, 7 days, and the end of the session that signed. `route` is `mrap` or the name of the place. `ready_at` is when a URL that is pinned until a copy arrives should give way to the MRAP's, by the lag that was measured. */
export interface Presigned {
  key: string;
  url: string;
  method: string;
  headers: Record<string, string>;
  expires_at: string;
  route: string;
  reason: string;
  ready_at?: string | null;
}

/** A batch's answers, each a Presigned or a Failed, in the order of its items. */
export interface Presigns {
  items: (Presigned | Failed)[];
}

/** One URL that is asked for. GET and HEAD take `version_id` and the `response_*` overrides; PUT takes the upload's headers, which are signed and so must be sent as given, and `upload_id` with `part_number` for one part of a multipart upload; DELETE takes `version_id`. `place` pins the URL to that place. `check=false` saves looking whether the object is there. */
export interface Item {
  key: string;
  method?: "DELETE" | "GET" | "HEAD" | "PUT";
  expires_in?: number;
  place?: string | null;
  check?: boolean;
  version_id?: string | null;
  response_cache_control?: string | null;
  response_content_disposition?: string | null;
  response_content_type?: string | null;
  cache_control?: string | null;
  checksum_sha256?: string | null;
  content_disposition?: string | null;
  content_length?: number | null;
  content_type?: string | null;
  if_none_match?: "*" | null;
  upload_id?: string | null;
  part_number?: number | null;
}

/** Up to 1,000 items, answered in order. */
export interface Batch {
  items: Item[];
}

/** The whole. `broken`: something will not arrive unless somebody does something; `behind`: it will arrive, but later than the target, or whether it does is not known; `unknown` says what could not be asked, and why. */
export interface ReplicationHealth {
  verdict: "behind" | "broken" | "healthy";
  reasons: Reason[];
  unknown: string[];
  rules: RuleHealth[];
  places: PlaceHealth[];
  mrap: MrapState | null;
  checked_at: string;
}

/** Why the verdict is what it is, in words, and what to do. A `note` does not change the verdict. */
export interface Reason {
  verdict: "behind" | "broken" | "note";
  what: string;
  fix: string;
}

/** One rule, or that there is none, from one place to another. Settings that cannot be read are left out. */
export interface RuleHealth {
  source: string;
  destination: string;
  rule: string | null;
  enabled?: boolean | null;
  priority?: number | null;
  prefix?: string | null;
  tags?: Record<string, string> | null;
  delete_markers?: boolean | null;
  replica_modifications?: boolean | null;
  time_control?: boolean | null;
  metrics_enabled?: boolean | null;
  metrics?: Metrics | null;
}

/** What CloudWatch says of one rule; None is not known, and never zero. https://docs.aws.amazon.com/AmazonS3/latest/userguide/repl-metrics.html */
export interface Metrics {
  latency_seconds?: number | null;
  bytes_pending?: number | null;
  operations_pending?: number | null;
  operations_failed?: number | null;
}

/** One place as a destination. What is None is not known, and `unknown` of the whole says why. */
export interface PlaceHealth {
  name: string;
  bucket: string;
  versioning: string | null;
  pending: number | null;
  failed: number | null;
  oldest_pending_seconds: number | null;
  lag: Lag | null;
}

/** How long versions took to arrive in a place, in milliseconds, of `count` arrivals. */
export interface Lag {
  count: number;
  p50_ms: number;
  p99_ms: number;
  max_ms: number;
}

/** An MRAP with its routes; `routes_unknown` says why they are not known, if so. */
export interface MrapState {
  name: string;
  alias: string;
  status: string;
  created_at: string | null;
  regions: MrapRegion[];
  routes_unknown?: string | null;
}

/** One region behind an MRAP. With a dial of 100 requests are routed there, with 0 not; None is not known. */
export interface MrapRegion {
  region: string;
  bucket: string;
  traffic_dial_percentage: number | null;
}

/** The object's versions, the newest first. `remembered` says that the catalog did not know it and the places were asked; `unknown` what could not be asked, and why. */
export interface ObjectReplication {
  key: string;
  versions: Version[];
  remembered: boolean;
  unknown: string[];
}

/** One version of the object, or a delete marker, in every place. */
export interface Version {
  version: string;
  newest: boolean;
  marker: boolean;
  made_at: string;
  copies: Copy[];
}

/** One version in one place. `lag_ms` is from the version's first event to its arrival here; `why` and `fix` are there when it has not arrived. */
export interface Copy {
  place: string;
  state: "ABSENT" | "COMPLETED" | "FAILED" | "PENDING" | "UNKNOWN";
  arrived_at?: string | null;
  removed_at?: string | null;
  size?: number | null;
  etag?: string | null;
  lag_ms?: number | null;
  overdue?: boolean;
  source?: string | null;
  rule?: string | null;
  reason?: string | null;
  why?: string | null;
  fix?: string | null;
}

/** What is known of each object, an ObjectDots or an ObjectFailed, in the order of its keys. */
export interface ManyDots {
  objects: (ObjectDots | ObjectFailed)[];
}

/** The objects that are asked about, up to 100. */
export interface ObjectsAsked {
  keys: string[];
}

/** Every step in which something arrived, the oldest first. `unknown` says which places' records could not be read, and why. */
export interface LagSeries {
  step_seconds: number;
  points: LagPoint[];
  unknown: string[];
}

/** The copies that arrived in one place within one step, which begins at `at`. */
export interface LagPoint {
  at: string;
  place: string;
  p50_ms: number;
  p99_ms: number;
  count: number;
}

/** What was done, or in a dry run would be. `more` says that something has not been tried yet, or was not finished: ask again. */
export interface Repairs {
  dry_run: boolean;
  replicas: Mended[];
  jobs: Job[];
  more: boolean;
}

/** What became of one replica. `detail` says it in words, with the proof of a copy; `copy_version` is the copy's. */
export interface Mended {
  key: string;
  version: string;
  place: string;
  outcome: "copied" | "copying" | "deleted" | "dry run" | "failed" | "gone" | "present" | "refused" | "superseded" | "unproved" | "waiting";
  detail: string;
  source?: string;
  copy_version?: string;
}

/** An S3 Batch Replication job: everything that failed from one place. `id` is empty in a dry run. */
export interface Job {
  source: string;
  id: string;
  detail: string;
}

/** What is to be repaired: one key, one place, or everything; at most `limit` replicas now. */
export interface RepairAsked {
  key?: string | null;
  place?: string | null;
  dry_run?: boolean;
  limit?: number;
}

/** Every place, the primary first, and then the gateway's. */
export interface Backends {
  backends: Backend[];
}

/** One place: its bucket, where that is, whether it is the primary, and its state in words (`up`, or what is wrong). `endpoint` is empty for AWS. One of the gateway's (`gateway`) has a `provider` and a `zone`, its `bucket` is how it calls the gateway's bucket `{bucket}`, and one that is not enabled is `disabled`. */
export interface Backend {
  name: string;
  bucket: string;
  region: string;
  endpoint: string;
  primary: boolean;
  state: string;
  gateway?: boolean;
  provider?: string;
  zone?: string;
}

/** Replicas that are not where they should be, failed ones first, and then the gateway's, object by object. `cursor` leads to the next page and is absent on the last; `unknown` says which places' lists could not be read, and why. */
export interface ReplicaStatuses {
  replicas: ReplicaStatus[];
  cursor?: string | null;
  unknown?: string[];
}

/** A replica that is pending or has failed; `due` is when its version was made, or when it failed. One of the gateway has its `bucket`: there `version` is the generation's id, `due` when it is tried next, `attempts` how often it failed, `why` what the place said last; with `marker` the object was deleted and is to be removed. */
export interface ReplicaStatus {
  key: string;
  version: string;
  place: string;
  state: "FAILED" | "PENDING";
  due: string;
  bucket?: string;
  attempts?: number;
  marker?: boolean;
  overdue?: boolean;
  rule?: string | null;
  reason?: string | null;
  why?: string | null;
  fix?: string | null;
}

/** Operations, newest first. A page may be empty and yet have a `cursor`: what a filter leaves out was read too. */
export interface Operations {
  operations: Operation[];
  cursor?: string | null;
}

/** One thing that was done, and in words what came of it; `bucket` is one of the gateway's. */
export interface Operation {
  at: string;
  action: string;
  key?: string;
  place?: string;
  version?: string;
  detail?: string;
  bucket?: string;
}

/** An upload: parts 1 to `parts`, each of `part_bytes` bytes but the last. `id` goes with every further request; `place` is where the parts go. A `single` one is one PUT of all `size` bytes to `url` with exactly these `headers`, until `expires_at`: then the object is there, and nothing else is to be asked; its `id` is empty. */
export interface UploadBegun {
  id: string;
  kind: "multipart" | "single";
  place: string;
  part_bytes: number;
  parts: number;
  url?: string;
  headers?: Record<string, string>;
  expires_at?: string;
}

/** An object that is to be uploaded: its size in bytes, its headers, and if it is known the SHA-256 of its bytes in hex. It goes to the regions, or to a `bucket` of the gateway. `place` pins it to that region. `if_none_match` refuses to overwrite. With `checksums` (the default for the regions) each part's URL takes exactly the bytes whose SHA-256 is given for it; `false`: parts are not checked. */
export interface UploadAsked {
  key: string;
  size: number;
  bucket?: string | null;
  content_type?: string | null;
  cache_control?: string | null;
  content_disposition?: string | null;
  sha256?: string | null;
  if_none_match?: "*" | null;
  place?: string | null;
  checksums?: boolean | null;
}

/** The caller's uploads that are not complete, newest first. */
export interface Uploads {
  uploads: Upload[];
}

/** An upload that is not complete. `size` is null where whoever began it did not say; then `parts` is 0. */
export interface Upload {
  id: string;
  key: string;
  size: number | null;
  place: string;
  part_bytes: number;
  parts: number;
  begun_at: string;
  content_type: string;
  checksums: boolean;
}

/** An upload that is not complete, and the parts that are there. */
export interface UploadShown {
  id: string;
  key: string;
  size: number | null;
  place: string;
  part_bytes: number;
  parts: number;
  begun_at: string;
  content_type: string;
  checksums: boolean;
  done: PartStored[];
}

/** A part that is there; `sha256` is in base64, as S3 keeps it. */
export interface PartStored {
  number: number;
  size: number;
  etag: string;
  sha256: string | null;
}

/** In the order in which they were asked for. */
export interface PartUrls {
  parts: PartUrl[];
}

/** Where to PUT a part: exactly `size` bytes with exactly these `headers`, until `expires_at`. Its answer's ETag is wanted at the end. */
export interface PartUrl {
  number: number;
  url: string;
  size: number;
  expires_at: string;
  headers?: Record<string, string>;
}

/** The parts whose URLs are wanted, and by number the SHA-256 of each in base64. */
export interface PartsAsked {
  numbers: number[];
  sha256?: Record<string, string>;
}

/** The object as it can be read from now on. `replication` says how each place stands to it. */
export interface UploadDone {
  bucket: string;
  key: string;
  size: number;
  etag: string;
  version_id?: string | null;
  replication: Record<string, string>;
}

/** Every part, in order. */
export interface CompleteAsked {
  parts: PartDone[];
}

/** A part that the place took, the ETag that it answered with, and the SHA-256 in base64 that went with it. */
export interface PartDone {
  number: number;
  etag: string;
  sha256?: string | null;
}

/** What is not uploaded after all. */
export interface UploadAborted {
  bucket: string;
  key: string;
}

/** A form to post to `url`, the file after its fields. */
export interface Form {
  method: "POST";
  url: string;
  fields: Record<string, string>;
  headers: Record<string, string>;
  expires: number;
}

/** What `signRequest` is to answer. */
export interface Signed {
  url: string;
  headers: Record<string, string>;
}

/** What `signRequest` is given, as it is; with `place` another region than the primary, the same for all requests of an upload. */
export interface SignAsked {
  method: "DELETE" | "GET" | "POST" | "PUT";
  key: string;
  uploadId?: string | null;
  partNumber?: number | null;
  contentType?: string | null;
  expiresIn?: number;
  place?: string | null;
}

/** Where it goes, and the upload's id. */
export interface MultipartCreated {
  key: string;
  uploadId: string;
  bucket: string;
}

/** A file in parts. `metadata.key` is where it is to go, else its `filename`. */
export interface MultipartAsked {
  filename: string;
  type?: string;
  metadata?: Record<string, unknown>;
}

/** A part that is there. */
export interface MultipartPart {
  PartNumber: number;
  Size: number;
  ETag: string;
}

/** Where to PUT a part, for so many seconds. */
export interface MultipartUrl {
  url: string;
  expires: number;
}

/** The object, at its address without a signature. */
export interface MultipartDone {
  location: string;
  bucket: string;
  key: string;
}

/** Every part, in order. */
export interface MultipartEnded {
  parts: PartEnded[];
}

/** A part, and the ETag that S3 answered with. */
export interface PartEnded {
  PartNumber: number;
  ETag: string;
}

/** Nothing is left of it. */
export interface MultipartGone {
}

/** One item of a batch that got no URL: the error it would have got alone, and the status it would have had. */
export interface Failed {
  error: string;
  message: string;
  status: number;
}

/** One object's newest version in every place. `version_id` is null when no place is known to have one; `marker` says that it is a delete marker. */
export interface ObjectDots {
  key: string;
  version_id: string | null;
  marker: boolean;
  places: Dot[];
}

/** The newest version in one place: its state, how long it took to come, and in words why it is not there. */
export interface Dot {
  place: string;
  state: "ABSENT" | "COMPLETED" | "FAILED" | "PENDING" | "UNKNOWN";
  lag_ms?: number | null;
  why?: string;
}

/** One object of which nothing is told: the error it would have got alone, and the status it would have had. */
export interface ObjectFailed {
  key: string;
  error: string;
  message: string;
  status: number;
}

/** What every refusal looks like: S3's code or a name, and what is wrong in words. A path that does not exist has the sentence as its `error` and no `message`. */
export interface Error {
  error: string;
  message?: string;
}

/** Every route: what its query and its body may have, and what it answers. */
export interface Routes {
  /** The routes of this API. */
  "GET /": {
    query: {};
    body: undefined;
    answer: Endpoints;
  };
  /** Whether each place can be reached; 200 even when degraded, the body tells. */
  "GET /health": {
    query: {};
    body: undefined;
    answer: Health;
  };
  /** Names at the top of the bucket; folders end with a slash. */
  "GET /list-bucket-content": {
    query: { details?: boolean; limit?: number; cursor?: string; place?: string; prefix?: string };
    body: undefined;
    answer: Listing;
  };
  /** Names in a folder, or the name of one object. */
  "GET /list-bucket-content/{path}": {
    query: { details?: boolean; limit?: number; cursor?: string; place?: string; prefix?: string };
    body: undefined;
    answer: Listing;
  };
  /** One URL, or up to 1,000, each leading to the nearest place that has the object. */
  "POST /presign": {
    query: {};
    body: Item | Batch;
    answer: Presigned | Presigns;
  };
  /** Whether replication is healthy, behind or broken: every rule and place, with reasons and what to do. */
  "GET /replication/health": {
    query: {};
    body: undefined;
    answer: ReplicationHealth;
  };
  /** One object in every place: each version's state, and where it is not as it should be, why. */
  "GET /replication/objects/{key}": {
    query: {};
    body: undefined;
    answer: ObjectReplication;
  };
  /** The newest version of each of up to 100 objects in every place. */
  "POST /replication/objects": {
    query: {};
    body: ObjectsAsked;
    answer: ManyDots;
  };
  /** How long copies took to arrive in each place over the last hours, in steps of five minutes. */
  "GET /replication/lag": {
    query: { hours?: number };
    body: undefined;
    answer: LagSeries;
  };
  /** Mends replicas that failed or are overdue, with a proof; a dry run says what would be done. */
  "POST /replication/repair": {
    query: {};
    body: RepairAsked;
    answer: Repairs;
  };
  /** The Multi-Region Access Point in use: status, alias, regions, routes. */
  "GET /mrap": {
    query: {};
    body: undefined;
    answer: MrapState;
  };
  /** Every place, and its state. */
  "GET /backends": {
    query: {};
    body: undefined;
    answer: Backends;
  };
  /** Replicas that failed or are pending, page by page. */
  "GET /api/replicas/status": {
    query: { state?: "FAILED" | "PENDING"; place?: string; limit?: number; cursor?: string };
    body: undefined;
    answer: ReplicaStatuses;
  };
  /** What was done, newest first, page by page. */
  "GET /api/operations/log": {
    query: { key?: string; place?: string; since?: string; until?: string; limit?: number; cursor?: string };
    body: undefined;
    answer: Operations;
  };
  /** Begins an upload of any size, straight to the nearest region, or to a bucket of the gateway. */
  "POST /uploads": {
    query: {};
    body: UploadAsked;
    answer: UploadBegun;
  };
  /** The caller's uploads to the regions that are not complete. */
  "GET /uploads": {
    query: {};
    body: undefined;
    answer: Uploads;
  };
  /** One of them, and the parts that are there. */
  "GET /uploads/{id}": {
    query: {};
    body: undefined;
    answer: UploadShown;
  };
  /** Ends an upload without an object. */
  "DELETE /uploads/{id}": {
    query: {};
    body: undefined;
    answer: UploadAborted;
  };
  /** Where to PUT parts of it. */
  "POST /uploads/{id}/parts": {
    query: {};
    body: PartsAsked;
    answer: PartUrls;
  };
  /** Makes the object of the parts; it can be read at once, and is copied to every place. */
  "POST /uploads/{id}/complete": {
    query: {};
    body: CompleteAsked;
    answer: UploadDone;
  };
  /** For Uppy: the form of a file that fits one request. */
  "GET /s3/params": {
    query: { filename?: string; type?: string };
    body: undefined;
    answer: Form;
  };
  /** For Uppy: what its signRequest is to answer. */
  "POST /s3/sign": {
    query: {};
    body: SignAsked;
    answer: Signed;
  };
  /** For Uppy: begins an upload in parts. */
  "POST /s3/multipart": {
    query: {};
    body: MultipartAsked;
    answer: MultipartCreated;
  };
  /** For Uppy: the parts that are there. */
  "GET /s3/multipart/{id}": {
    query: {};
    body: undefined;
    answer: MultipartPart[];
  };
  /** For Uppy: ends an upload without an object. */
  "DELETE /s3/multipart/{id}": {
    query: {};
    body: undefined;
    answer: MultipartGone;
  };
  /** For Uppy: where to PUT a part. */
  "GET /s3/multipart/{id}/{number}": {
    query: {};
    body: undefined;
    answer: MultipartUrl;
  };
  /** For Uppy: makes the object of the parts. */
  "POST /s3/multipart/{id}/complete": {
    query: {};
    body: MultipartEnded;
    answer: MultipartDone;
  };
  /** The JSON stored at a key, of any type. */
  "GET /json/{path}": {
    query: { version_id?: string };
    body: undefined;
    answer: unknown;
  };
  /** This document. */
  "GET /openapi.json": {
    query: {};
    body: undefined;
    answer: Record<string, unknown>;
  };
  /** This document as a page. */
  "GET /docs": {
    query: {};
    body: undefined;
    answer: string;
  };
}
