/**
 * The vocabulary of the log: every field that a line may have, beside `time`, `level` and `msg`, which the
 * logger writes. The compiler holds whoever logs to it, and docs/log.md and the schema of lines are made of it.
 */
import type { ErrorCode } from '../errors.ts'

interface Kinds {
  readonly text: string
  readonly number: number
  readonly flag: boolean
  readonly texts: readonly string[]
  /** Of errors.ts. */
  readonly code: ErrorCode
  /** By name. */
  readonly texts_by_name: Readonly<Record<string, string>>
}

interface Field<K extends keyof Kinds = keyof Kinds> {
  readonly kind: K
  readonly text: string
}

const named = kind('texts_by_name')
const [text, number, flag, texts, code] = [kind('text'), kind('number'), kind('flag'), kind('texts'), kind('code')]

/** In the groups and the order of docs/log.md. */
export const LOG_GROUPS = {
  'The request': {
    request_id: text('Id of the request, as on its page and in `X-Request-Id` of what is forwarded.'),
    trace_id: text('Of its trace, where traces are sent (`otel_traces_exporter`).'),
    client_ip: text('Address of the client; `unknown` when a trusted proxy does not say it readably.'),
    method: text('As it was sent.'),
    host: text('As it was asked, without the port; of other lines the host that they are about.'),
    path: text('Without the query, which is never logged.'),
    protocol: text('`HTTP/1.0`, `HTTP/1.1`, `HTTP/2.0`: how the client speaks.'),
    user_agent: text('As the client calls itself.'),
    forward_auth: flag('`true`: another proxy asked, and forwards the request itself.'),
    query: text(
      'With its `?`; of our own paths never. Only where `access_log_fields` asks for it: applications put secrets there.',
    ),
    referer: text('Without its query. Only where `access_log_fields` asks for it.'),
    forwarded_for: text('`X-Forwarded-For` as it came, believed or not. Only where `access_log_fields` asks for it.'),
    client_certificate: text(
      'SHA-256 of the client certificate of the connection. Only where `access_log_fields` asks for it.',
    ),
    headers: named('Those that `access_log_fields` asks for, by the names that are written there.'),
    client_certificate_fault: text('Why the client certificate of the connection is not believed.'),
  },
  'The answer': {
    status: number('Status of the answer. Absent: none was given.'),
    bytes_out: number('Octets of the body that were sent.'),
    duration_ms: number('From the request head to the end of the answer.'),
    detail: text('Why a request was refused before anybody asked who it is, or what is odd about it. Constant texts.'),
    limit: text('The time limit that ended it, by its key: `idle_timeout (5m)`.'),
    cut: text(
      'Why an answer was broken off after it began: `signed-out`, `expired`, `idle`, `too-long` (`request_timeout`, `tunnel_max_lifetime`), `shutdown`, an error code.',
    ),
  },
  'The application': {
    route: text('`name` of the route.'),
    route_id: text('Fingerprint of the route; stays the same while the route does.'),
    upstream: text('Origin that was asked.'),
    upstream_ms: number('Until the head of its answer.'),
    bytes_in: number('Octets of the body that were passed on.'),
    hint: text('Why the application may have answered so.'),
  },
  'The decision': {
    decision: text(
      '`allow`, `sign-in`, `deny`, `bad-token`, `unavailable`. `postern explain --from-log` judges lines again.',
    ),
    reasons: texts('Criteria that decided, such as `groups-unauthorized`.'),
    shadow_decision: text('What `shadow_policy` of the route would have said.'),
    shadow_reasons: texts('Why.'),
  },
  Who: {
    auth: text('Kind of credential: `session`, `service`, `token`, `certificate`.'),
    by_token: flag('`true`: a program that a person signed in.'),
    user_id: text('Subject (`sub`).'),
    email: text('Of the person, when it is verified.'),
    session: text('Names a session without revealing its id.'),
    service_account: text('Of a program.'),
    token: text('Id of a token, which is not the token.'),
    certificate: text('SHA-256 of a client certificate.'),
    issuer: text('Of the identity provider or of the token.'),
    provider: text('Name of the identity provider.'),
  },
  Faults: {
    error: code('A stable code (`ERR_…`).'),
    error_message: text('What happened, in words. Never a secret.'),
    cause: text('What the system or a library says about it.'),
    stack: text('Only with `ERR_INTERNAL`, which is a mistake of ours.'),
    remedy: text('What to do first, in lines that call for somebody.'),
    repeated: number('What the line says has happened so often since the last line that said so.'),
    idp_error: text('`error` of the identity provider (RFC 6749), as it came.'),
    idp_error_description: text('`error_description` of the identity provider.'),
    reason: text('Why, in words or as a constant.'),
  },
  'Start, configuration, end': {
    address: text('Of the listener.'),
    health: text('Address of the probes.'),
    metrics: text('Address of the metrics.'),
    authenticate: text('`authenticate_service_url`.'),
    routes: number('How many there are.'),
    workers: number('How many processes serve.'),
    key: text('Of the configuration.'),
    at: text('Where in the configuration, and what is to be said of it.'),
    summary: text('What a reload did to the routes.'),
    changed: texts('Keys that changed and are in force.'),
    needs_restart: texts('Keys that changed and wait for a restart.'),
    problem: text('Why a configuration was not accepted.'),
    signal: text('That ended Postern; of an identity provider, what it said.'),
    worker: number('Number of the process that writes the line, where several serve, or that the line is about.'),
    how: text('A worker ended: exit code or signal.'),
    restart_in: number('Milliseconds until it is started again.'),
    lines: number('Log lines that could not be written and are lost.'),
    telemetry: text('What cannot be sent, or can be again: `traces`, `metrics`.'),
    receiver: text('Origin that takes telemetry.'),
  },
  'Identity provider, directory': {
    groups_claim: text('Claim with groups that was looked for.'),
    claims: texts('Claims that are there.'),
    attempts: number('How often it was tried.'),
    failures: number('Failures in a row.'),
    sessions: number('How many ended.'),
    stream_status: text('Of a stream of shared signals, as its sender says.'),
    source: text('Kind of directory.'),
    okta: text('Origin of the Okta org.'),
    lease: text('What one process at a time does.'),
    from: text('Instant from which the System Log is read.'),
    group: text('As a policy asks for it.'),
    group_id: text('Of the directory.'),
    ids: texts('Of several groups with one name.'),
    suggestion: text('A group whose name is close.'),
    resource: text('`User`, `Group`: what a SCIM client sent.'),
    id: text('Of that resource.'),
    outcome: text('What became of an event hook; of a configuration `accepted` or `refused`.'),
    refused: number('How many were, so far.'),
    skipped: number('Events that cannot be read.'),
    unreadable: number('Records that cannot be read.'),
  },
  Store: {
    purpose: text('What a connection is for.'),
    node: text('Address of the server.'),
    missed: number('How many changes.'),
  },
  Upstreams: {
    seconds: number('So long an upstream gets no requests.'),
    header: text('Identity header that was left out.'),
    claim: text('Claim that was left out.'),
  },
  Certificates: {
    acme_server: text('Host of the authority.'),
    retry_at: text('Instant of the next attempt.'),
    valid_until: text('Instant at which a certificate ends.'),
  },
  Audit: {
    schema: number('Version of these fields.'),
    event: text('Kind of event, see [audit.md](audit.md).'),
    trigger: text('What led to a configuration being loaded: `start`, `file`, `signal`.'),
    checksum: text('Of the configuration in force; the same for the same configuration and version.'),
    routes_changed: texts('Names of routes that were added, removed or changed; at most 50.'),
    operator: text('Account of the operating system under which a command was run.'),
    token_routes: texts('Routes that a token is for.'),
    expires_at: text('Instant at which a token ends.'),
    methods: texts('That a token is for.'),
    groups: texts('That a token has.'),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, Field>>>>

function kind<K extends keyof Kinds>(kind: K): (text: string) => Field<K> {
  return (text) => ({ kind, text })
}

type Groups = typeof LOG_GROUPS
type Fields = { [G in keyof Groups]: (each: Groups[G]) => void }[keyof Groups] extends (all: infer All) => void
  ? All
  : never

/** What a line may say. */
export type LogFields = {
  readonly [Name in keyof Fields]?: Fields[Name] extends Field<infer K> ? Kinds[K] | undefined : never
}
