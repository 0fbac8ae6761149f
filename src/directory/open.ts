/** Puts the parts of the directory together for one configuration: sources, feed, hook, SCIM server. */
import { createIssuer } from '../lib/person.ts'
import type { Clock, Logger, Span, Store, Subject, Unsubscribe } from '../types.ts'
import type { DirectoryConfig } from '../config/model.ts'
import type { Route } from '../config/route-model.ts'
import type { DirectorySource } from './model.ts'
import { combineSources } from './combine.ts'
import { createDirectory, type DirectoryFacts, type LiveDirectory } from './directory.ts'
import type { BucketState } from './okta/budget.ts'
import { type CallCount, createOktaClient, type OktaClient } from './okta/client.ts'
import { createOktaFeed, type FeedFacts, type OktaFeed } from './okta/feed.ts'
import { createOktaHook, type OktaHook } from './okta/hook.ts'
import { createOktaSource, type OktaSource } from './okta/source.ts'
import { createInbox, type Message } from './inbox.ts'
import { ALONE, createLeadership } from './leadership.ts'
import { createScim, type Scim } from './scim/server.ts'
import { namedGroups as namedGroupsOf } from '../policy/explain.ts'
import type { Request } from './signals.ts'
import { createStaticSource } from './static.ts'
import { elapsed, latest, NEVER, wallTime } from '../lib/time.ts'

/** Held by the one process that reads the directory. */
const LEASE = 'directory-feed'

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
  readonly directory: LiveDirectory
  /** Takes Okta's event hooks; absent without a secret for them. */
  readonly hook: OktaHook | undefined
  /** Takes what Okta pushes; absent without a token for it. */
  readonly scim: Scim | undefined
  start(): Promise<void>
  metrics(): DirectoryMetrics
  close(): Promise<void>
}

/** `issuer`: who issues the subjects that the sources know; `app`: the client id people sign in with; `routes` in force; `scimUrl`: where the SCIM server is reached now. */
export function openDirectory(deps: {
  readonly config: DirectoryConfig
  readonly issuer: string
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly app: string
  readonly routes: () => readonly Route[]
  readonly scimUrl: () => URL
}): OpenDirectory {
  const { config, store, clock, logger, app } = deps
  const okta = config.kind === 'okta' ? openOkta(config, clock, logger) : undefined
  const scim =
    config.scim &&
    createScim({ store, clock, logger, issuer: deps.issuer, token: config.scim.token, baseUrl: deps.scimUrl })
  const available: Readonly<Record<string, DirectorySource | undefined>> = {
    okta: okta?.source,
    scim: scim?.source,
    static: config.people && createStaticSource({ people: config.people, clock }),
  }
  const [first, ...others] = config.order.map((name) => available[name]).filter((source) => source !== undefined)
  const source = first && (others.length > 0 ? combineSources([first, ...others]) : first)
  // Claims are told to whichever process somebody signs in at: there is nothing to lead.
  const leadership = source ? createLeadership({ store, clock, logger, name: LEASE }) : ALONE
  const inbox = createInbox({ store, clock, logger })
  const directory = createDirectory({
    issuer: createIssuer(deps.issuer),
    source,
    store,
    clock,
    config,
    logger,
    sharing: { leadership, inbox },
  })
  let feed: OktaFeed | undefined
  let hook: OktaHook | undefined
  if (okta && config.kind === 'okta') {
    const following = createOktaFeed({
      client: okta.client,
      directory,
      store,
      clock,
      logger,
      app,
      org: config.url.origin,
      wanted: () => namedGroups(deps.routes()),
      interval: config.logInterval,
      refreshInterval: config.refreshInterval,
      leadership,
    })
    feed = following
    const secret = config.hookSecret
    // A renamed group waits for the log, which tells the same.
    const requests = (asked: readonly Request[]): void => {
      if (asked.some(({ kind }) => kind === 'reconcile')) following.reconcile()
    }
    const relay = (): ((body: string) => Promise<void>) | undefined =>
      leadership.leads() ? undefined : (body) => inbox.post({ kind: 'hook', body })
    hook = secret && createOktaHook({ secret, directory, clock, logger, app, requests, relay })
  }
  let unwatch: Unsubscribe = () => {}

  /** A push reaches every process through the store; reading what was pushed costs no call. */
  function pushed(user: Subject): void {
    if (leadership.leads()) directory.reread(user, others.length > 0 ? 'scim' : undefined)
  }

  /** Never rejects. */
  async function serve(message: Message): Promise<void> {
    if (message.kind === 'read') await directory.serve(message)
    else await hook?.serve(message.body)
  }

  function share(leads: boolean): void {
    if (leads) inbox.open(serve)
    else inbox.shut()
  }

  return {
    directory,
    hook,
    scim,

    async start() {
      await scim?.start()
      unwatch = scim?.onChange(pushed) ?? unwatch
      leadership.onChange(share)
      await leadership.start()
      await directory.start()
      await feed?.start()
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

    async close() {
      unwatch()
      await hook?.close()
      await feed?.close()
      await inbox.close()
      await directory.close()
      await leadership.close()
      await scim?.close()
      await okta?.client.close()
    },
  }
}

function openOkta(
  { url, credentials, timeout, budget, outbound }: Extract<DirectoryConfig, { kind: 'okta' }>,
  clock: Clock,
  logger: Logger,
): { readonly client: OktaClient; readonly source: OktaSource } {
  const client = createOktaClient({ origin: url.origin, credentials, clock, timeout, budget, outbound, logger })
  return { client, source: createOktaSource({ client, clock, logger }) }
}

/** Each once. */
export function namedGroups(routes: readonly Route[]): readonly string[] {
  return [...new Set(routes.flatMap(namedGroupsOf))]
}
