/** The directories of all issuers as one. One process of all that share the store leads, for all of them. */
import type { DirectoryCondition } from '../http/condition.ts'
import type { Clock, Logger, PersonKey, Store, WaitingFor } from '../types.ts'
import type { Route } from '../config/route-model.ts'
import type { LiveDirectory } from './directory.ts'
import { createInbox, type Message } from './inbox.ts'
import { createLeadership } from './leadership.ts'
import type { DirectoryHealth, EventHook, ScimServer } from './model.ts'
import { type DirectoryMetrics, type DirectoryScope, type OpenDirectory, openDirectory } from './open.ts'
import { elapsed, NEVER } from '../lib/time.ts'

/** Held by the one process that reads the directories. */
const LEASE = 'directory-feed'

type Parts = readonly [OpenDirectory, ...OpenDirectory[]]

type People = Pick<
  LiveDirectory,
  | 'membership'
  | 'status'
  | 'recall'
  | 'refresh'
  | 'observe'
  | 'forget'
  | 'health'
  | 'trouble'
  | 'onChange'
  | 'onSessionsEnd'
>

export interface Directories {
  /** Everybody: asked by key, which names the issuer. */
  readonly directory: People & Pick<LiveDirectory, 'close'>
  /** Of whichever org shows its secret; absent: no hooks are taken. */
  readonly hook: EventHook | undefined
  /** Of whichever client shows its token; absent: nothing is pushed to us. */
  readonly scim: ScimServer | undefined
  start(): Promise<void>
  /** Asks for what has changed, from now on: nobody who comes in waits for that. */
  follow(): void
  metrics(): DirectoryMetrics
  /** One by one, for the status page. */
  conditions(): readonly DirectoryCondition[]
  /** Secrets may be others now. */
  rotate(): void
  close(): Promise<void>
}

/** `scopes`: no issuer is there twice; older records are of the first. `routes` in force; `scimUrl`: where the SCIM server is reached now. */
export function openDirectories(deps: {
  readonly scopes: readonly [DirectoryScope, ...DirectoryScope[]]
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly waitingFor?: WaitingFor | undefined
  readonly routes: () => readonly Route[]
  readonly scimUrl: () => URL
}): Directories {
  const { scopes, ...common } = deps
  const leadership = createLeadership({ ...common, name: LEASE })
  const inbox = createInbox(common)
  const [firstScope, ...moreScopes] = scopes
  const open = (scope: DirectoryScope, adoptsOlder: boolean): OpenDirectory =>
    openDirectory({ ...common, ...scope, leadership, inbox, adoptsOlder })
  const first = open(firstScope, true)
  const all: Parts = [first, ...moreScopes.map((scope) => open(scope, false))]
  const isLed = all.some(({ hasSource, scope }) => hasSource && scope.config.kind !== 'followed')

  /** undefined: somebody of an issuer that is not configured. */
  const of = (person: PersonKey): LiveDirectory | undefined =>
    all.find(({ issuer }) => issuer.subject(person) !== undefined)?.directory

  async function serve(message: Message): Promise<void> {
    if (message.kind === 'read')
      await all.find(({ issuer }) => issuer.subject(message.person) !== undefined)?.serve(message)
    else
      await (message.issuer === undefined ? first : all.find(({ scope }) => scope.issuer === message.issuer))?.serve(
        message,
      )
  }

  return {
    directory: all.length === 1 ? first.directory : together(all, of),
    hook: anyHook(all.flatMap(({ hook }) => hook ?? [])),
    scim: anyScim(all.flatMap(({ scim }) => scim ?? [])),

    async start() {
      for (const { scim } of all) await scim?.start()
      if (isLed) {
        leadership.onChange((leads) => (leads ? inbox.open(serve) : inbox.shut()))
        await leadership.start()
      }
      for (const each of all) await each.start()
    },

    follow: () => all.forEach((each) => each.follow()),
    metrics: () => sum(all),
    conditions: () => all.map((each) => conditionOf(each, leadership.leads())),
    rotate: () => all.forEach((each) => each.rotate()),

    async close() {
      await inbox.close()
      await Promise.all(all.map((each) => each.close()))
      await leadership.close()
    },
  }
}

function together(all: Parts, of: (person: PersonKey) => LiveDirectory | undefined): Directories['directory'] {
  const each = all.map(({ directory }) => directory)
  return {
    membership: (person) => of(person)?.membership(person) ?? 'unknown',
    status: (person) => of(person)?.status(person) ?? 'unknown',
    recall: async (person) => of(person)?.recall(person),
    refresh: async (person, signal) => (await of(person)?.refresh(person, signal)) ?? 'unknown',
    observe: (person, entry) => of(person)?.observe(person, entry),
    forget: async (person) => of(person)?.forget(person),
    health: () => worst(all),
    trouble: (person) => of(person)?.trouble(person),
    onChange(listener) {
      const stops = each.map((directory) => directory.onChange(listener))
      return () => stops.forEach((stop) => stop())
    },
    onSessionsEnd(listener) {
      const stops = each.map((directory) => directory.onSessionsEnd(listener))
      return () => stops.forEach((stop) => stop())
    },
    close: async () => void (await Promise.all(each.map((directory) => directory.close()))),
  }
}

/** Secrets tell the orgs apart: whoever shows that of one speaks of its people alone. */
function anyHook([first, ...others]: readonly EventHook[]): EventHook | undefined {
  if (!first || others.length === 0) return first
  const shownTo = (authorization: string | undefined): EventHook =>
    others.find((hook) => hook.isAuthorized(authorization)) ?? first
  return {
    isAuthorized: (authorization) => shownTo(authorization).isAuthorized(authorization),
    verify: (challenge) => first.verify(challenge),
    receive: (authorization, body) => shownTo(authorization).receive(authorization, body),
  }
}

function anyScim([first, ...others]: readonly ScimServer[]): ScimServer | undefined {
  if (!first || others.length === 0) return first
  const shownTo = (authorization: string | undefined): ScimServer =>
    others.find((scim) => scim.isAuthorized(authorization)) ?? first
  return {
    isAuthorized: (authorization) => shownTo(authorization).isAuthorized(authorization),
    handle: (request) => shownTo(request.authorization).handle(request),
  }
}

/** The one that fails, else the first that has a source. */
function worst(all: Parts): DirectoryHealth {
  const reports = all.filter(({ hasSource }) => hasSource).map(({ directory }) => directory.health())
  const failing = reports.find(({ lastError, lastSuccess }) => lastError && lastError.at >= (lastSuccess ?? NEVER))
  return failing ?? reports[0] ?? all[0].directory.health()
}

function conditionOf(each: OpenDirectory, leads: boolean): DirectoryCondition {
  const { source, lastError, lastSuccess } = each.directory.health()
  const { people, staleness, feed } = each.metrics()
  const failed = lastError && lastError.at >= (lastSuccess ?? NEVER) ? lastError : undefined
  const trouble = failed ?? (feed?.leading ? feed.lastError : undefined)
  return {
    issuer: each.scope.issuer,
    source,
    people,
    ...(staleness !== undefined && { staleness }),
    leading: leads,
    ...(trouble && { trouble }),
  }
}

/** Counts of all; of ages and feeds the worst. Buckets of several orgs are told apart by their host. */
function sum(all: Parts): DirectoryMetrics {
  const [first, ...others] = all
  if (others.length === 0) return first.metrics()
  const each = all.map((part) => ({ ...part.metrics(), host: new URL(part.scope.issuer).host }))
  const total = (count: (metrics: DirectoryMetrics) => number | undefined): number =>
    each.reduce((found, metrics) => found + (count(metrics) ?? 0), 0)
  const coverages = each.flatMap(({ coverage }) => coverage ?? [])
  const feeds = each.flatMap(({ feed }) => feed ?? [])
  const hooks = each.flatMap(({ hook }) => hook ?? [])
  // What is pushed or claimed does not grow old by itself.
  const followed = each.filter(({ feed }) => feed)
  const ages = (followed.length > 0 ? followed : each).flatMap(({ staleness }) => staleness ?? [])
  return {
    people: total(({ people }) => people),
    doubtful: total(({ doubtful }) => doubtful),
    coverage: coverages.toSorted((left, right) => elapsed(left.upTo, right.upTo))[0],
    staleness: ages.length > 0 ? Math.max(...ages) : undefined,
    feed: feeds.find(({ lastError }) => lastError) ?? feeds[0],
    hook: hooks.length > 0 ? hooks.reduce(added) : undefined,
    buckets: each.flatMap(({ buckets, host }) => buckets.map((bucket) => ({ ...bucket, name: host + bucket.name }))),
    calls: each.flatMap(({ calls, host }) => calls.map((call) => ({ ...call, bucket: host + call.bucket }))),
    skipped: total(({ skipped }) => skipped),
  }
}

type HookCounts = NonNullable<DirectoryMetrics['hook']>

function added(left: HookCounts, right: HookCounts): HookCounts {
  return {
    received: left.received + right.received,
    refused: left.refused + right.refused,
    events: left.events + right.events,
    skipped: left.skipped + right.skipped,
  }
}
