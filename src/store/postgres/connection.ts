import type { PostgresConfig } from '../../config/storage-model.ts'
import type { Clock, Span } from '../../types.ts'
import { createPatience } from '../shared/patience.ts'
import { tlsOptions } from '../shared/tls.ts'

const CONNECT_PATIENCE: Span = 2000

export type Row = Readonly<Record<string, unknown>>

/** One connection to PostgreSQL. It is used until it fails, and never mended. */
export interface Connection {
  /** Rejects when PostgreSQL refuses, when the connection is lost, or ended after `patience` in vain. */
  query(text: string, values: readonly unknown[], patience: Span): Promise<readonly Row[]>
  /** Of `LISTEN`. */
  onNotice(listener: () => void): void
  readonly ended: Promise<string>
  close(reason?: string): void
}

/** The only door to node-postgres, which is loaded when a configuration asks for it. */
export async function connect(config: PostgresConfig, clock: Clock): Promise<Connection> {
  const { default: pg } = await import('pg')
  const { node, credentials, database, tls } = config
  const client = new pg.Client({
    host: node.host,
    port: node.port,
    user: credentials.username,
    // Empty, but there: node-postgres would look into the environment and into ~/.pgpass.
    password: credentials.password?.reveal() ?? '',
    database,
    ssl: tls ? tlsOptions(tls) : false,
    application_name: 'postern',
    connectionTimeoutMillis: CONNECT_PATIENCE,
    keepAlive: true,
    // The functions look at a record after they have waited for others.
    options: '-c default_transaction_isolation=read\\ committed -c client_encoding=UTF8',
  })
  let end: (reason: string) => void = () => {}
  const ended = new Promise<string>((resolve) => (end = resolve))
  // Also for a message that is none: node-postgres would leave the connection open.
  client.on('error', (error) => close(error.message))
  client.on('end', () => end('the connection was closed'))

  function close(reason: string): void {
    end(reason)
    // `end` waits for what is under way; nobody waits for that any more.
    client.connection.stream.destroy()
    client.end().catch(() => {})
  }

  const within = createPatience(clock, close)

  try {
    await within(CONNECT_PATIENCE, client.connect())
  } catch (error) {
    close('the connection was not made')
    throw error
  }
  /** One query at a time: PostgreSQL reads no second one before it has answered the first. */
  let turn: Promise<unknown> = Promise.resolve()
  return {
    query(text, values, patience) {
      const work = async (): Promise<readonly Row[]> => {
        const { rows } = await within(patience, client.query<Row>(text, [...values]))
        return rows
      }
      const answer = turn.then(work, work)
      turn = answer
      return answer
    },
    onNotice: (listener) => void client.on('notification', listener),
    ended,
    close: (reason = 'the connection was closed') => close(reason),
  }
}
