import { validator } from '../lib/json-schema.ts'
import { EPOCH_MILLIS } from '../lib/time.ts'
import type { Table, WallTime } from '../types.ts'
import type { ServiceToken } from './model.ts'

/** The id follows from the key. */
export type StoredToken = Omit<ServiceToken, 'id'>

const TEXTS = { type: 'array', items: { type: 'string' } } as const

/** Members that we do not know are let pass: a newer instance beside this one may write them. */
const isStored = validator<StoredToken>({
  type: 'object',
  required: ['account', 'createdAt', 'expiresAt', 'routes', 'methods', 'groups'],
  properties: {
    account: { type: 'string', minLength: 1 },
    createdAt: EPOCH_MILLIS,
    expiresAt: EPOCH_MILLIS,
    routes: TEXTS,
    methods: TEXTS,
    groups: TEXTS,
  },
})

/** By the SHA-256 of the token: 192 random bits need no salt and no slow hash. */
export const tokensTable: Table<StoredToken> = {
  name: 'service-tokens',
  parse: (value) => (isStored(value) ? value : undefined),
}

/** By id. Apart, so that writing down a use changes no token, least of all one that is revoked meanwhile. */
export const usesTable: Table<{ readonly at: WallTime }> = {
  name: 'service-token-uses',
  parse: (value) => (isUse(value) ? value : undefined),
}

const isUse = validator<{ readonly at: WallTime }>({
  type: 'object',
  required: ['at'],
  properties: { at: EPOCH_MILLIS },
})
