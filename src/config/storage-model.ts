/** The store of a compiled configuration (`storage`). Types only. */
import type { Secret } from '../lib/secret.ts'
import type { Certificate } from './route-model.ts'

export type StorageConfig =
  | { readonly kind: 'memory' }
  | { readonly kind: 'embedded'; readonly path: string }
  | RedisConfig
  | PostgresConfig

/** Redis or Valkey (`storage.url`). */
export interface RedisConfig {
  readonly kind: 'redis'
  readonly place: RedisPlace
  /** Of an ACL user, or the password of all. */
  readonly credentials: StoreCredentials
  /** Absent: no TLS. */
  readonly tls?: StoreTls
  readonly database: number
  /** Before the names of all keys, in braces. */
  readonly prefix: string
}

/** PostgreSQL (`storage.url`). */
export interface PostgresConfig {
  readonly kind: 'postgres'
  readonly node: StoreNode
  readonly credentials: StoreCredentials
  readonly database: string
  /** Absent: no TLS. */
  readonly tls?: StoreTls
  /** Of the rows of this Postern. */
  readonly prefix: string
}

export interface StoreTls {
  /** PEM bundle instead of the system's authorities. */
  readonly ca?: string
  /** To show to the server. */
  readonly certificate?: Certificate
}

/** Where the node is that takes writes: known, known to Sentinels, or known to the nodes of a cluster. */
export type RedisPlace =
  | { readonly kind: 'single'; readonly node: StoreNode }
  | {
      readonly kind: 'sentinel'
      readonly sentinels: readonly StoreNode[]
      /** The name under which the Sentinels know it. */
      readonly master: string
      /** Of the Sentinels themselves. */
      readonly credentials: StoreCredentials
    }
  | { readonly kind: 'cluster'; readonly nodes: readonly StoreNode[] }

export interface StoreCredentials {
  readonly username?: string
  readonly password?: Secret
}

/** Where one server of a store listens. */
export interface StoreNode {
  readonly host: string
  readonly port: number
}
