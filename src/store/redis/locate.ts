import type { RedisConfig, StoreNode } from '../../config/storage-model.ts'
import { messageOf } from '../../errors.ts'
import type { Clock, Span } from '../../types.ts'
import { connect, type Connection, type ConnectOptions, type Reply } from './connection.ts'
import { nameOf } from './names.ts'

/** Sentinels and nodes of a cluster are asked one after the other. */
const PATIENCE: Span = 1000

/**
 * Opens a connection to the one node that takes the writes of our keys. All keys of one Postern are in one slot
 * (names.ts), so that a cluster, too, is one node for us. A node that is no longer the right one says so (`READONLY`,
 * `MOVED`), the connection is given up, and the next call of this asks again.
 */
export async function connectToMaster(config: RedisConfig, clock: Clock): Promise<Connection> {
  const { place, credentials, tls, database } = config
  const options = { clock, credentials, ...(tls && { tls }) }
  if (place.kind === 'single') return connect(place.node, options, database)
  if (place.kind === 'cluster') {
    const key = nameOf(config.prefix).changes
    return connect(await firstAnswer(place.nodes, options, (node) => ownerOf(node, key)), options)
  }
  const sentinels = { ...options, credentials: place.credentials }
  const node = await firstAnswer(place.sentinels, sentinels, (sentinel) => masterOf(sentinel, place.master))
  const connection = await connect(node, options, database)
  try {
    // https://redis.io/docs/latest/develop/reference/sentinel-clients/ step 3: a Sentinel may not know it yet.
    const role = await connection.call(['ROLE'], PATIENCE)
    if (isList(role) && role[0] === 'master') return connection
    throw new Error(`${addressOf(node)} is not the master of ${place.master}`)
  } catch (error) {
    connection.close()
    throw error
  }
}

export function addressOf({ host, port }: StoreNode): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Of nodes that all know it. */
async function firstAnswer(
  nodes: readonly StoreNode[],
  options: ConnectOptions,
  ask: (connection: Connection) => Promise<StoreNode>,
): Promise<StoreNode> {
  const reasons: string[] = []
  for (const node of nodes) {
    try {
      const connection = await connect(node, options)
      try {
        return await ask(connection)
      } finally {
        connection.close()
      }
    } catch (error) {
      reasons.push(`${addressOf(node)}: ${messageOf(error)}`)
    }
  }
  throw new Error(reasons.join('; '))
}

async function masterOf(sentinel: Connection, name: string): Promise<StoreNode> {
  const reply = await sentinel.call(['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name], PATIENCE)
  const node = isList(reply) ? nodeOf(reply[0], Number(reply[1]), sentinel.node) : undefined
  if (!node) throw new Error(`it knows no master called ${name}`)
  return node
}

/** `CLUSTER SLOTS` rather than the newer `SHARDS`: Valkey and every Redis have it. */
async function ownerOf(seed: Connection, key: string): Promise<StoreNode> {
  const slot = Number(await seed.call(['CLUSTER', 'KEYSLOT', key], PATIENCE))
  const ranges = await seed.call(['CLUSTER', 'SLOTS'], PATIENCE)
  for (const range of isList(ranges) ? ranges : []) {
    if (!isList(range) || slot < Number(range[0]) || slot > Number(range[1])) continue
    const master = range[2]
    const node = isList(master) ? nodeOf(master[0], Number(master[1]), seed.node) : undefined
    if (node) return node
  }
  throw new Error(`it knows no node for slot ${slot}`)
}

/** An empty name is the node that was asked. */
function nodeOf(host: Reply | undefined, port: number, asked: StoreNode): StoreNode | undefined {
  if (!Number.isInteger(port) || (typeof host !== 'string' && host !== null)) return undefined
  return { host: host || asked.host, port }
}

function isList(reply: Reply | undefined): reply is readonly Reply[] {
  return Array.isArray(reply)
}
