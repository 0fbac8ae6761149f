/** The settings of a configuration that `postern check` takes, whose provider nobody is at. */
import { SHARED_SECRET } from './world.ts'

export const CHECKED = {
  authenticate_service_url: 'http://authenticate.localhost',
  shared_secret: SHARED_SECRET,
  idp_provider: 'oidc',
  idp_provider_url: 'http://127.0.0.1:1',
  idp_client_id: 'web',
} as const
