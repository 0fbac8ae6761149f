/** Parts of the URL of a shared store. Not `URL`, which knows one host only. */
import { isIP } from 'node:net'
import { Secret } from '../../lib/secret.ts'
import type { StoreCredentials, StoreNode } from '../storage-model.ts'

/** `host`, `host:port`, `[2001:db8::1]:port`. */
export function parseNode(text: string, standard: number): StoreNode | undefined {
  const parts = /^(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?$/i.exec(text.trim())
  const host = parts?.[1] ?? parts?.[2]
  const port = parts?.[3] === undefined ? standard : Number(parts[3])
  if (host === undefined || port < 1 || port > 65_535 || (parts?.[1] !== undefined && isIP(host) !== 6))
    return undefined
  return { host, port }
}

/** `user:password`, `:password`, `user`, or nothing. undefined: not readable. */
export function parseCredentials(text: string | undefined): StoreCredentials | undefined {
  const [username, ...password] = (text ?? '').split(':')
  try {
    return credentialsOf(decodeURIComponent(username ?? ''), decodeURIComponent(password.join(':')))
  } catch {
    return undefined
  }
}

export function credentialsOf(username: string | undefined, password: string | undefined): StoreCredentials {
  return { ...(username && { username }), ...(password && { password: new Secret(password) }) }
}
