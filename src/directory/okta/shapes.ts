import { Ajv } from 'ajv'

/** The parts of Okta's records that are read (okta.md §2.3, §2.4); anything more may come and go without notice. */
export interface OktaUser {
  readonly id: string
  readonly status: string
}

export interface OktaGroup {
  readonly id: string
  readonly type: string
  readonly profile: { readonly name: string }
}

export interface OktaError {
  /** The only contractual part of an error body. */
  readonly errorCode: string
}

export interface Shapes {
  readonly isUser: (value: unknown) => value is OktaUser
  readonly isGroup: (value: unknown) => value is OktaGroup
  readonly isError: (value: unknown) => value is OktaError
}

const WORD = { type: 'string', minLength: 1, maxLength: 100 } as const
const USER = { type: 'object', required: ['id', 'status'], properties: { id: WORD, status: WORD } } as const
const GROUP = {
  type: 'object',
  required: ['id', 'type', 'profile'],
  properties: {
    id: WORD,
    type: WORD,
    profile: {
      type: 'object',
      required: ['name'],
      properties: { name: { type: 'string', minLength: 1, maxLength: 1024 } },
    },
  },
} as const
const ERROR = { type: 'object', required: ['errorCode'], properties: { errorCode: WORD } } as const

/** Compiles the validators; once for each client or source. */
export function compileShapes(): Shapes {
  const ajv = new Ajv({ strict: true })
  return {
    isUser: ajv.compile<OktaUser>(USER),
    isGroup: ajv.compile<OktaGroup>(GROUP),
    isError: ajv.compile<OktaError>(ERROR),
  }
}
