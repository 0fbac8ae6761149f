import { URN } from './message.ts'

/** Resources in one page of a list. Okta asks for 100. */
export const MAX_PAGE = 200

/** What we are and what we keep (RFC 7643 §5–7), for clients that ask; Okta does not. By path below the base. */
export function createDiscovery(baseUrl: string): ReadonlyMap<string, object> {
  const types = [
    resourceType('User', '/Users', URN.user, baseUrl),
    resourceType('Group', '/Groups', URN.group, baseUrl),
  ] as const
  const schemas = [userSchema(baseUrl), groupSchema(baseUrl)] as const
  return new Map<string, object>([
    ['/ServiceProviderConfig', serviceProviderConfig(baseUrl)],
    ['/ResourceTypes', listOf(types)],
    ...types.map((type) => [`/ResourceTypes/${type.id}`, type] as const),
    ['/Schemas', listOf(schemas)],
    ...schemas.map((schema) => [`/Schemas/${schema.id}`, schema] as const),
  ])
}

function listOf(resources: readonly object[]): object {
  return {
    schemas: [URN.list],
    totalResults: resources.length,
    startIndex: 1,
    itemsPerPage: resources.length,
    Resources: resources,
  }
}

function serviceProviderConfig(baseUrl: string): object {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig'],
    patch: { supported: true },
    bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
    filter: { supported: true, maxResults: MAX_PAGE },
    changePassword: { supported: false },
    sort: { supported: false },
    etag: { supported: false },
    authenticationSchemes: [
      {
        type: 'oauthbearertoken',
        name: 'Bearer token',
        description: 'A token in the Authorization header',
        primary: true,
      },
    ],
    meta: { resourceType: 'ServiceProviderConfig', location: `${baseUrl}/ServiceProviderConfig` },
  }
}

function resourceType(name: string, endpoint: string, schema: string, baseUrl: string) {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:ResourceType'],
    id: name,
    name,
    endpoint,
    schema,
    schemaExtensions: [],
    meta: { resourceType: 'ResourceType', location: `${baseUrl}/ResourceTypes/${name}` },
  }
}

function userSchema(baseUrl: string) {
  return schema(URN.user, 'User', baseUrl, [
    attribute('userName', { required: true, uniqueness: 'server' }),
    attribute('active', { type: 'boolean' }),
    attribute('displayName'),
    attribute('locale'),
    attribute('name', {
      type: 'complex',
      subAttributes: ['formatted', 'familyName', 'givenName', 'middleName'].map((name) => attribute(name)),
    }),
    attribute('emails', {
      type: 'complex',
      multiValued: true,
      subAttributes: [
        attribute('value', { required: true }),
        attribute('type'),
        attribute('primary', { type: 'boolean' }),
        attribute('display'),
      ],
    }),
    attribute('groups', {
      type: 'complex',
      multiValued: true,
      mutability: 'readOnly',
      subAttributes: [attribute('value', { mutability: 'readOnly' }), attribute('display', { mutability: 'readOnly' })],
    }),
  ])
}

function groupSchema(baseUrl: string) {
  return schema(URN.group, 'Group', baseUrl, [
    attribute('displayName', { required: true, uniqueness: 'server' }),
    attribute('members', {
      type: 'complex',
      multiValued: true,
      subAttributes: [
        attribute('value', { required: true, mutability: 'immutable', caseExact: true }),
        attribute('display', { mutability: 'readOnly' }),
      ],
    }),
  ])
}

function schema(id: string, name: string, baseUrl: string, attributes: readonly object[]) {
  return {
    schemas: ['urn:ietf:params:scim:schemas:core:2.0:Schema'],
    id,
    name,
    attributes,
    meta: { resourceType: 'Schema', location: `${baseUrl}/Schemas/${id}` },
  }
}

function attribute(name: string, facts: object = {}): object {
  return {
    name,
    type: 'string',
    multiValued: false,
    required: false,
    caseExact: false,
    mutability: 'readWrite',
    returned: 'default',
    uniqueness: 'none',
    ...facts,
  }
}
