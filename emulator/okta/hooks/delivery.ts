import { randomUUID } from 'node:crypto'
import type { Span, Unsubscribe } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import type { Outbound } from '../http/outbound.ts'
import { EVENT_TYPES } from '../log/event-types.ts'
import { renderLogEvent } from '../log/log-event.ts'
import { iso } from '../management/render.ts'
import type { Org } from '../model/org.ts'
import { createRandom, shuffle } from '../model/random.ts'
import type { Occurrence } from '../model/types.ts'
import { delivers, type EventHook, type HookRegistry } from './registry.ts'

/** How well hooks work: at least once, unordered and late are all normal at Okta (okta-api.md#event-hooks). */
export interface HookBehaviour {
  /** Events are collected this long into one delivery. */
  readonly window: Span
  /** At most so many events in one delivery. */
  readonly size: number
  /** Between the window and the delivery. */
  readonly delay: Span
  /** Share of events that come twice, the second time in a later delivery. */
  readonly duplicates: number
  /** Share of events that never come. */
  readonly losses: number
  /** Shuffles within a delivery, and lets later deliveries overtake earlier ones. */
  readonly reorder: boolean
  /** Applicable events in 24 hours; more are dropped and not made up for. */
  readonly dailyLimit: number
}

/** One attempt. */
export interface HookDelivery {
  readonly at: Span
  readonly hookId: string
  readonly uri: string
  readonly events: number
  readonly attempt: 1 | 2
  /** The receiver's status, or why there is none. */
  readonly result: number | string
}

export interface HookDeliverer {
  behave(change: Partial<HookBehaviour>): void
  accept(occurrence: Occurrence): void
  /** Asks the receiver for the challenge; twice when it does not answer. */
  verify(hook: EventHook): Promise<boolean>
  /** Sends what waits now, and resolves when every delivery has ended. */
  flush(): Promise<void>
  /** Oldest first; at most the last 1,000. */
  deliveries(): readonly HookDelivery[]
  close(): void
}

const USUAL: HookBehaviour = {
  window: 100,
  size: 100,
  delay: 0,
  duplicates: 0,
  losses: 0,
  reorder: false,
  dailyLimit: 400_000,
}
const TIMEOUT: Span = 3000
const DAY: Span = 24 * 3_600_000
const KEPT = 1000

interface Pending {
  readonly occurrence: Occurrence
  readonly copy: boolean
}

export function createHookDeliverer(deps: {
  readonly clock: Clock
  readonly org: Pick<Org, 'announce'>
  readonly url: string
  readonly hooks: HookRegistry
  readonly outbound: Outbound
}): HookDeliverer {
  const { clock, hooks, outbound } = deps
  const random = createRandom(1)
  const queues = new Map<string, Pending[]>()
  /** Timers, and what they do when they are not waited for. */
  const waiting = new Map<() => void, Unsubscribe>()
  const running = new Set<Promise<void>>()
  let behaviour = USUAL
  let deliveries: HookDelivery[] = []
  let day = { startedAt: clock.now(), events: 0 }
  let closed = false

  function later(by: Span, run: () => void): void {
    const once = (): void => {
      waiting.delete(once)
      run()
    }
    waiting.set(once, clock.after(by, once))
  }

  function enqueue(hookId: string, pending: Pending): void {
    const queue = queues.get(hookId) ?? []
    queues.set(hookId, queue)
    if (queue.push(pending) === 1) later(behaviour.window, () => dispatch(hookId))
  }

  /** Empties the queue of one hook into deliveries. */
  function dispatch(hookId: string): void {
    const queue = queues.get(hookId) ?? []
    queues.delete(hookId)
    const { size, delay, duplicates, reorder, window } = behaviour
    for (let start = 0; start < queue.length; start += size) {
      const slice = queue.slice(start, start + size)
      const batch = (reorder ? shuffle(slice, random) : slice).map(({ occurrence }) => occurrence)
      const wait = delay + (reorder ? Math.floor(random() * 3 * window) : 0)
      if (wait > 0) later(wait, () => send(hookId, batch))
      else send(hookId, batch)
      for (const { occurrence, copy } of slice) {
        if (!copy && random() < duplicates) enqueue(hookId, { occurrence, copy: true })
      }
    }
  }

  function send(hookId: string, batch: readonly Occurrence[]): void {
    const ended: Promise<void> = deliver(hookId, batch).finally(() => running.delete(ended))
    running.add(ended)
  }

  /** 3 seconds; one more attempt after a timeout, a broken connection or 5xx, none after any other answer. */
  async function deliver(hookId: string, batch: readonly Occurrence[]): Promise<void> {
    let result: number | string = ''
    for (const attempt of [1, 2] as const) {
      const hook = hooks.get(hookId)
      if (closed || !hook || !delivers(hook)) return
      const answer = await outbound.send({
        method: 'POST',
        url: hook.uri,
        headers: { ...headersOf(hook), 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify(envelope(hook, batch)),
        timeout: TIMEOUT,
      })
      result = answer.kind === 'answer' ? answer.status : answer.reason
      note({ at: clock.now(), hookId, uri: hook.uri, events: batch.length, attempt, result })
      if (typeof result === 'number' && result < 500) break
    }
    if (closed || (typeof result === 'number' && result >= 200 && result < 300)) return
    deps.org.announce('event_hook.delivery', {
      outcome: 'FAILURE',
      reason: String(result),
      other: { id: hookId, type: 'EventHook', name: hooks.get(hookId)?.name ?? hookId },
    })
  }

  function note(delivery: HookDelivery): void {
    deliveries.push(delivery)
    if (deliveries.length > 2 * KEPT) deliveries = deliveries.slice(-KEPT)
  }

  function envelope(hook: EventHook, batch: readonly Occurrence[]): object {
    return {
      eventType: 'com.okta.event_hook',
      eventTypeVersion: '1.0',
      cloudEventsVersion: '0.1',
      source: `${deps.url}/api/v1/eventHooks/${hook.id}`,
      eventId: randomUUID(),
      data: { events: batch.map((occurrence) => renderLogEvent(occurrence, 'hook')) },
      eventTime: iso(clock.now()),
      contentType: 'application/json',
    }
  }

  /** false: the day's events are used up. */
  function withinDay(): boolean {
    if (clock.now() >= day.startedAt + DAY) day = { startedAt: clock.now(), events: 0 }
    day.events += 1
    return day.events <= behaviour.dailyLimit
  }

  return {
    behave(change) {
      behaviour = { ...behaviour, ...change }
    },
    accept(occurrence) {
      if (closed || EVENT_TYPES[occurrence.eventType]?.hook !== true) return
      for (const hook of hooks.list()) {
        if (!delivers(hook) || !hook.items.includes(occurrence.eventType) || !withinDay()) continue
        if (random() >= behaviour.losses) enqueue(hook.id, { occurrence, copy: false })
      }
    },
    async verify(hook) {
      const challenge = randomUUID().replaceAll('-', '')
      for (let attempt = 1; attempt <= 2; attempt++) {
        const answer = await outbound.send({
          method: 'GET',
          url: hook.uri,
          headers: { 'x-okta-verification-challenge': challenge, accept: 'application/json' },
          timeout: TIMEOUT,
        })
        if (answer.kind === 'answer' && answer.status === 200) return echoed(answer.body) === challenge
      }
      return false
    },
    async flush() {
      while (waiting.size > 0 || running.size > 0) {
        for (const [run, cancel] of waiting) {
          cancel()
          run()
        }
        await Promise.all(running)
      }
    },
    deliveries: () => deliveries.slice(-KEPT),
    close() {
      closed = true
      for (const cancel of waiting.values()) cancel()
      waiting.clear()
    },
  }
}

function headersOf(hook: EventHook): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...hook.headers, ...(hook.auth ? [hook.auth] : [])].map(({ key, value }) => [key.toLowerCase(), value]),
  )
}

function echoed(body: string): unknown {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null && 'verification' in value ? value.verification : undefined
  } catch {
    return undefined
  }
}
