import type { Reply } from '../http/exchange.ts'
import { serviceTokenIn } from '../lib/service-token.ts'
import { elapsed } from '../lib/time.ts'
import { jsonReply } from '../pages/reply.ts'
import type { ServiceTokens } from '../tokens/model.ts'
import type { WallTime } from '../types.ts'
import { type Asking, challenges } from './challenge.ts'

/**
 * Where clients of container registries change a password for a token (distribution.github.io/distribution/spec/auth/token):
 * they do so whenever a challenge says `Bearer`. The password is a service token, and so is what they get: the same one. What it
 * opens is judged when it is used.
 */
export async function answerToken(
  tokens: Pick<ServiceTokens, 'find'>,
  asked: Asking & { readonly facts: { readonly authorization?: string | undefined; readonly id: string } },
  now: WallTime,
): Promise<Reply> {
  const shown = serviceTokenIn(asked.facts.authorization)
  const refused = (error?: 'invalid_token'): Reply =>
    jsonReply(401, { error: error ?? 'unauthenticated', request_id: asked.facts.id }, challenges(asked, true, error))
  if (shown === undefined) return refused()
  const token = await tokens.find(shown, now)
  if (!token) return refused('invalid_token')
  const expiresIn = Math.floor(elapsed(token.expiresAt, now) / 1000)
  return jsonReply(200, { token: shown, access_token: shown, expires_in: expiresIn })
}
