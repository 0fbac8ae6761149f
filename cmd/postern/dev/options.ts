import { AppError } from '../../../src/errors.ts'
import type { DevPerson } from './provider.ts'

export interface DevOptions {
  /** Origin of one's own application. */
  readonly to: string
  readonly as: DevPerson
  /** It becomes `NAME.localhost`. */
  readonly name: string
  readonly port: number
}

/** @throws AppError ERR_USAGE, which names the option */
export function devOptions(given: {
  readonly to: string
  readonly as: string
  readonly groups: string
  readonly name: string
  readonly port: string
}): DevOptions {
  const { name } = given
  if (!/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(name) || RESERVED.has(name)) {
    throw usage('name', 'a name of letters, digits and hyphens, and none of people, authenticate')
  }
  if (!/^[^@\s]+@[^@\s]+$/.test(given.as)) throw usage('as', 'an e-mail address')
  const port = Number(given.port)
  if (!/^\d+$/.test(given.port) || port < 1 || port > 65_535) throw usage('port', 'a port')
  return { to: target(given.to), as: { login: given.as, groups: listed(given.groups) }, name, port }
}

const RESERVED = new Set(['people', 'authenticate'])

/** `3000` and `localhost:3000` are what people type. */
function target(text: string): string {
  const written = /^\d+$/.test(text) ? `http://localhost:${text}` : text.includes('://') ? text : `http://${text}`
  const url = URL.canParse(written) ? new URL(written) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw usage('to', 'an address such as http://localhost:3000')
  if (url.href !== `${url.origin}/`) throw usage('to', `an address without a path, such as ${url.origin}`)
  return url.origin
}

function listed(text: string): readonly string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean)
}

function usage(option: string, expected: string): AppError {
  return new AppError('ERR_USAGE', `--${option}: expected ${expected}`)
}
