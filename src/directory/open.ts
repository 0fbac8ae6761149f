/** Puts the parts of the directory of one issuer together: sources, feed, hook, SCIM server. */
import { createToldTrouble } from './told-trouble.ts'
import { createIssuer, type Issuer } from '../lib/person.ts'
import type { Clock, Logger, Span, Store, Subject, Unsubscribe, WaitingFor } from '../types.ts'
import { directorySecretsOf } from '../config/credentials.ts'
import type { DirectoryConfig, DirectorySecrets } from '../config/model.ts'
import { createFaultLog } from '../lib/fault-tally.ts'
import { fingerprint } from '../lib/fingerprint.ts'
import { currentSecret } from '../lib/secret.ts'
import type { Route } from '../config/route-model.ts'
import type { DirectoryHealth, DirectorySource } from './model.ts'
import { combineSources } from './combine.ts'
import { createDirectory, type DirectoryFacts, type LiveDirectory } from './directory.ts'
import type { BucketState } from './okta/budget.ts'
import { type CallCount, createOktaClient, type OktaClient } from './okta/client.ts'
import { createOktaFeed, type FeedFacts, type OktaFeed } from './okta/feed.ts'
import { createFeedFollower } from './okta/follow.ts'
import { createOktaHook, type OktaHook } from './okta/hook.ts'
import { createOktaSource, type OktaSource } from './okta/source.ts'
import type { Inbox, Message } from './inbox.ts'
import { ALONE, type Leadership, NEVER_LEADS } from './leadership.ts'
import { createScim, type Scim } from './scim/server.ts'
import { namedGroups as namedGroupsOf } from '../policy/explain.ts'
import type { Request } from './signals.ts'
import { createStaticSource } from './static.ts'
import { sourceNameOf } from './view.ts'
import { elapsed, latest, NEVER, wallTime } from '../lib/time.ts'
import { settledWithin } from '../lib/wait.ts'

/** A start waits no longer for many people to be loaded: who asks meanwhile is looked up in the store (`recall`). */
const LOAD_PATIENCE: Span = 500

/** Earlier than anything that was read. */
const NOT_YET = wallTime(0)

/** All there is to know about the directory at one moment; ages are spans. */
export interface DirectoryMetrics extends DirectoryFacts {
  /** Since when nothing new could be known: since the last successful look at the feed, or the last reading. */
  readonly staleness: Span | undefined
  /** Of Okta: absent when it is not read. */
  readonly feed: FeedFacts | undefined
  readonly hook: ReturnType<OktaHook['counts']> | undefined
  readonly buckets: readonly BucketState[]
  readonly calls: readonly CallCount[]
  /** Records that could not be read and were left out. */
  readonly skipped: number
}

export interface OpenDirectory {
  readonly scope: DirectoryScope
  readonly issuer: Issuer
  /** It asks a source, which one process of all does. */
  readonly hasSource: boolean
  readonly directory: LiveDirectory
  /** Takes Okta's event hooks; absent without a secret for them. */
  readonly hook: OktaHook | undefined
  /** Takes what Okta pushes; absent without a token for it. */
  readonly scim: Scim | undefined
  /** What another process asks of the leader. Never rejects. */
  serve(message: Message): Promise<void>
  /** After the leadership has been decided. */
  start(): Promise<void>
  /** Asks for what has changed, from now on, and after it has started: news are of people who are known. */
  follow(): void
  metrics(): DirectoryMetrics
  /** Its secrets may be others now. */
  rotate(): void
  close(): Promise<void>
}

/** One issuer, and where its people's groups come from. */
export interface DirectoryScope {
  readonly config: DirectoryConfig
  /** Those in force. Absent: those of `config`. */
  readonly secrets?: () => DirectorySecrets
  /** Who issues the subjects that the sources know. */
  readonly issuer: string
  /** The client ids that people sign in with. */
  readonly apps: readonly string[]
}

/** `routes` in force; `scimUrl`: where the SCIM server is reached now; `adoptsOlder`: pushed records of before issuers were told apart are of this one. */
export interface OpenDirectoryDeps extends DirectoryScope {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  /** Absent: nobody traces. */
  readonly waitingFor?: WaitingFor | undefined
  readonly routes: () => readonly Route[]
  readonly scimUrl: () => URL
  readonly leadership: Leadership
  readonly inbox: Inbox
  readonly adoptsOlder: boolean
}

export function openDirectory(deps: OpenDirectoryDeps): OpenDirectory {
  const { config, store, clock, logger, waitingFor, apps, inbox, adoptsOlder } = deps
  const issuer = createIssuer(deps.issuer)
  const atStart = directorySecretsOf(config)
  const secrets = deps.secrets ?? ((): DirectorySecrets => atStart)
  let shown = secrets().okta
  const okta = config.kind === 'okta' ? openOkta({ ...config, ...(shown && { credentials: shown }) }, deps) : undefined
  const { scim: scimToken, hook: hookSecret } = atStart
  const scim =
    scimToken &&
    createScim({
      store,
      clock,
      logger,
      issuer: deps.issuer,
      token: currentSecret(() => secrets().scim ?? scimToken),
      baseUrl: deps.scimUrl,
      adoptsOlder,
    })
  const available: Readonly<Record<string, DirectorySource | undefined>> = {
    okta: okta?.source,
    scim: scim?.source,
    static: config.people && createStaticSource({ people: config.people, clock }),
  }
  const [first, ...others] = config.order.map((name) => available[name]).filter((source) => source !== undefined)
  const follows = config.kind === 'followed'
  const own = first && (others.length > 0 ? combineSources([first, ...others]) : first)
  const source = follows ? createFollowedSource(sourceNameOf(config)) : own
  // Claims are told to whichever process somebody signs in at: there is nothing to lead.
  const leadership = follows ? NEVER_LEADS : source ? deps.leadership : ALONE
  const told = createToldTrouble(deps)
  const tell = createFaultLog(deps)
  let last: DirectoryHealth['lastError']
  const read = createDirectory({
    issuer,
    source,
    store,
    clock,
    config,
    logger,
    tell,
    waitingFor,
    sharing: { leadership, inbox },
    onTrouble(trouble) {
      last = trouble
      told.tell(last)
    },
  })
  const directory: LiveDirectory = {
    ...read,
    trouble: (person) => (leadership.leads() ? read.trouble(person) : told.heard()),
  }
  // What an earlier leader has told may be over.
  leadership.onChange((leads) => {
    if (leads) told.tell(last)
  })
  const org = 'url' in config ? config.url?.origin : undefined
  const follower =
    org === undefined ? undefined : createFeedFollower({ directory, store, org, leads: () => leadership.leads() })
  let feed: OktaFeed | undefined
  let hook: OktaHook | undefined
  if (okta && config.kind === 'okta') {
    const following = createOktaFeed({
      client: okta.client,
      directory,
      store,
      clock,
      logger,
      tell,
      waitingFor,
      apps,
      org: config.url.origin,
      wanted: () => namedGroups(deps.routes()),
      interval: config.logInterval,
      refreshInterval: config.refreshInterval,
      leadership,
    })
    feed = following
    const secret = hookSecret && currentSecret(() => secrets().hook ?? hookSecret)
    // A renamed group waits for the log, which tells the same.
    const requests = (asked: readonly Request[]): void => {
      if (asked.some(({ kind }) => kind === 'reconcile')) following.reconcile()
    }
    const relay = (): ((body: string) => Promise<void>) | undefined =>
      leadership.leads() ? undefined : (body) => inbox.post({ kind: 'hook', body, issuer: deps.issuer })
    const lead = (): Span => okta.client.lead()
    hook = secret && createOktaHook({ secret, directory, clock, lead, logger, apps, requests, relay })
  }
  const closing = new AbortController()
  let unwatch: Unsubscribe = () => {}

  /** A push reaches every process through the store; reading what was pushed costs no call. */
  function pushed(user: Subject): void {
    if (leadership.leads()) directory.reread(user, others.length > 0 ? 'scim' : undefined)
  }

  let opened: Promise<void> | undefined

  /** Never rejects. */
  async function open(): Promise<void> {
    await told.start()
    await follower?.start()
    await directory.start()
  }

  return {
    scope: deps,
    issuer,
    hasSource: source !== undefined,
    directory,
    hook,
    scim,

    async serve(message) {
      if (message.kind === 'read') await directory.serve(message)
      else await hook?.serve(message.body)
    },

    async start() {
      unwatch = scim?.onChange(pushed) ?? unwatch
      opened = open()
      await settledWithin(opened, { clock, timeout: LOAD_PATIENCE, signal: closing.signal })
    },

    follow() {
      void opened?.then(() => closing.signal.aborted || feed?.start())
    },

    metrics() {
      const facts = directory.facts()
      const last = latest(facts.coverage?.upTo ?? NEVER, directory.health().lastSuccess ?? NEVER)
      return {
        ...facts,
        staleness: last > NOT_YET ? Math.max(0, elapsed(clock.now(), last)) : undefined,
        feed: feed?.facts(),
        hook: hook?.counts(),
        buckets: okta?.client.buckets() ?? [],
        calls: okta?.client.calls() ?? [],
        skipped: (okta?.source.skipped() ?? 0) + (feed?.facts().skipped ?? 0) + (hook?.counts().skipped ?? 0),
      }
    },

    rotate() {
      const next = secrets().okta
      if (!okta || !next || fingerprint(next) === fingerprint(shown)) return
      shown = next
      okta.client.rotate(next)
      directory.retry()
    },

    async close() {
      closing.abort()
      unwatch()
      await hook?.close()
      await feed?.close()
      follower?.close()
      await directory.close()
      await told.close()
      await scim?.close()
      await okta?.client.close()
    },
  }
}

function openOkta(
  { url, credentials, timeout, budget, outbound }: Extract<DirectoryConfig, { kind: 'okta' }>,
  { clock, logger, waitingFor }: Pick<OpenDirectoryDeps, 'clock' | 'logger' | 'waitingFor'>,
): { readonly client: OktaClient; readonly source: OktaSource } {
  const client = createOktaClient({ origin: url.origin, credentials, clock, timeout, budget, outbound, waitingFor })
  return { client, source: createOktaSource({ client, clock, logger }) }
}

/** Sources that another process reads: its records carry this name, and nobody is ever looked up here. */
function createFollowedSource(name: string): DirectorySource {
  return { name, lookup: () => Promise.reject(new TypeError('directory: this process follows another one')) }
}

/** Each once. */
export function namedGroups(routes: readonly Route[]): readonly string[] {
  return [...new Set(routes.flatMap(namedGroupsOf))]
}
