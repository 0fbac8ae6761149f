import type { StoreCredentials, StoreNode, StoreTls } from '../../config/storage-model.ts'
import type { Clock, Span } from '../../types.ts'
import { createPatience } from '../shared/patience.ts'
import { tlsOptions } from '../shared/tls.ts'

/** TCP, TLS, the greeting and the first answer of one node. A node that is asked and stays silent costs so much. */
const CONNECT_PATIENCE: Span = 2000

/** A reply of RESP2: text, whole numbers, lists, nothing. */
export type Reply = string | number | null | readonly Reply[]

/** Redis answered, and the answer is an error (`READONLY You can't write against a read only replica.`). */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  /** The first word: `READONLY`, `NOSCRIPT`, `OOM`. */
  readonly kind: string
  constructor(message: string) {
    super(message)
    this.kind = message.split(' ', 1)[0] ?? ''
  }
}

/** One connection to one node of Redis or Valkey. It is used until it fails, and never mended. */
export interface Connection {
  readonly node: StoreNode
  /** Rejects with a `Refusal` when Redis refuses; with another error when the connection is lost, or ended after `patience` in vain. */
  call(args: readonly string[], patience: Span): Promise<Reply>
  /** Resolves with the reason when the connection is lost or closed. */
  readonly ended: Promise<string>
  close(reason?: string): void
}

export interface ConnectOptions {
  readonly credentials: StoreCredentials
  /** Absent: no TLS. */
  readonly tls?: StoreTls
  readonly clock: Clock
}

export type Connect = typeof connect

/** The only door to node-redis, which is loaded when a configuration asks for it. Without its own reconnecting: see link.ts. */
export async function connect(node: StoreNode, options: ConnectOptions, database = 0): Promise<Connection> {
  const { createClient, ErrorReply } = await import('@redis/client')
  const { clock, credentials, tls } = options
  const { username, password } = credentials
  const address = {
    host: node.host,
    port: node.port,
    connectTimeout: CONNECT_PATIENCE,
    reconnectStrategy: false,
  } as const
  const client = createClient({
    socket: tls ? { ...address, tls: true, ...tlsOptions(tls) } : address,
    ...(username !== undefined && { username }),
    ...(password && { password: password.reveal() }),
    database,
    RESP: 2,
    disableOfflineQueue: true,
    disableClientInfo: true,
    maintNotifications: 'disabled',
  })
  let end: (reason: string) => void = () => {}
  const ended = new Promise<string>((resolve) => (end = resolve))
  // Also for a reply that is none: node-redis would go on, and give the next one to whoever waits for this.
  client.on('error', (error: Error) => close(error.message))
  client.on('end', () => end('the connection was closed'))

  function close(reason: string): void {
    end(reason)
    if (client.isOpen) client.destroy()
  }

  const within = createPatience(clock, close)

  /** A server that stands still is connected to, all the same: only an answer shows that it is there, a refusal, too. */
  async function answered(): Promise<void> {
    try {
      await client.sendCommand(['PING'])
    } catch (error) {
      if (!(error instanceof ErrorReply)) throw error
    }
  }

  /** Their own kind of error for what Redis answers. */
  async function refusing<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } catch (error) {
      throw error instanceof ErrorReply ? new Refusal(error.message) : error
    }
  }

  try {
    await within(CONNECT_PATIENCE, refusing(client.connect().then(answered)))
  } catch (error) {
    close('the connection was not made')
    throw error
  }
  return {
    node,
    call: (args, patience) => within(patience, refusing(client.sendCommand<Reply>(args))),
    ended,
    close: (reason = 'the connection was closed') => close(reason),
  }
}
