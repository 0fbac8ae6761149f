/** How a process asks the leader for something: through the store they share. */
import { validator } from '../lib/json-schema.ts'
import { randomId } from '../lib/crypto.ts'
import { createFaultLog } from '../lib/fault-tally.ts'
import { later } from '../lib/time.ts'
import type { Clock, Logger, PersonKey, Span, Store, Table, Unsubscribe } from '../types.ts'

export type Message =
  /** Somebody signs in, or asks and nothing is known of them, or is here and wants to be kept fresh. */
  | { readonly kind: 'read'; readonly person: PersonKey; readonly urgent: boolean }
  /** The body of an event hook's delivery, from somebody who could prove to be Okta; `issuer` absent: the first one. */
  | { readonly kind: 'hook'; readonly body: string; readonly issuer?: string }

/** Nobody waits for longer. */
const KEPT: Span = 60_000

const MESSAGE = {
  oneOf: [
    {
      type: 'object',
      required: ['kind', 'person', 'urgent'],
      additionalProperties: false,
      properties: { kind: { const: 'read' }, person: { type: 'string', minLength: 1 }, urgent: { type: 'boolean' } },
    },
    {
      type: 'object',
      required: ['kind', 'body'],
      additionalProperties: false,
      properties: { kind: { const: 'hook' }, body: { type: 'string' }, issuer: { type: 'string' } },
    },
  ],
} as const

export interface Inbox {
  /** Resolves when it is stored. */
  post(message: Message): Promise<void>
  /** Resolves when the leader has done what was asked, when nobody did in a minute, or when the signal aborts. */
  ask(message: Message, signal: AbortSignal): Promise<void>
  /** The leader takes what is there, and what comes. `handle` never rejects. */
  open(handle: (message: Message) => Promise<void>): void
  /** Another process leads. */
  shut(): void
  close(): Promise<void>
}

export function createInbox(deps: { readonly store: Store; readonly clock: Clock; readonly logger: Logger }): Inbox {
  const { store, clock } = deps
  const tell = createFaultLog(deps)
  const isMessage = validator<Message>(MESSAGE)
  const table: Table<Message> = {
    name: 'directory-inbox',
    parse: (value) => (isMessage(value) ? value : undefined),
  }
  const sent = new Map<string, { readonly done: Promise<void>; readonly resolve: () => void }>()
  const taken = new Map<string, Promise<void>>()
  let handle: ((message: Message) => Promise<void>) | undefined
  let unwatch: Unsubscribe | undefined

  function keyOf(message: Message): string {
    return message.kind === 'read' ? `${message.urgent ? 'now' : 'soon'} ${message.person}` : randomId()
  }

  async function put(key: string, message: Message): Promise<void> {
    await store.put(table, key, message, { expiresAt: later(clock.now(), KEPT) })
  }

  /** What is done is deleted, and its sender hears of that. A fault leaves it to expire. */
  function take(key: string): void {
    if (!handle || taken.has(key)) return
    const work = handle
    const done = (async () => {
      const message = (await store.get(table, key))?.value
      if (message) await work(message)
      await store.delete(table, key)
    })()
      .catch((error: unknown) => tell(error, 'a request to the directory could not be served'))
      .finally(() => taken.delete(key))
    taken.set(key, done)
  }

  async function takeAll(): Promise<void> {
    try {
      for await (const [key] of store.list(table)) take(key)
    } catch (error) {
      tell(error, 'requests to the directory could not be listed')
    }
  }

  function watch(): void {
    unwatch ??= store.watch(({ table: name, key, kind }) => {
      if (name !== table.name) return
      if (kind === 'put') take(key)
      else sent.get(key)?.resolve()
    }, lookAgain)
  }

  /** Changes were missed. Whoever waits goes on with what is known by now. */
  function lookAgain(): void {
    for (const { resolve } of sent.values()) resolve()
    if (handle) void takeAll()
  }

  return {
    post: (message) => put(keyOf(message), message),

    async ask(message, signal) {
      const key = keyOf(message)
      const waiting = sent.get(key)
      if (waiting) return waiting.done
      watch()
      let resolve = (): void => {}
      const done = new Promise<void>((settle) => (resolve = settle))
      sent.set(key, { done, resolve })
      const stop = clock.after(KEPT, resolve)
      signal.addEventListener('abort', resolve, { once: true })
      try {
        await put(key, message)
        await done
      } finally {
        stop()
        resolve()
        signal.removeEventListener('abort', resolve)
        sent.delete(key)
      }
    },

    open(work) {
      handle = work
      watch()
      void takeAll()
    },

    shut() {
      handle = undefined
    },

    async close() {
      handle = undefined
      unwatch?.()
      for (const { resolve } of sent.values()) resolve()
      await Promise.all(taken.values())
    },
  }
}
