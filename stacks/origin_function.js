import cf from 'cloudfront';

// The origin of a request, from the key-value store that origin_records fills (JavaScript runtime 2.0, viewer request).
// Whatever is amiss leaves the configured origin.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/helper-functions-origin-modification.html

// The record's grammar, less exactly, against a slip of the hand: functions/origin_router/txt_origin.py has checked it.
const HOST = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\.s3(\.dualstack)?\.[a-z]{2,4}(-[a-z]+)+-[0-9]+\.amazonaws\.com$/;
const PATH = /^(\/[A-Za-z0-9._~%!$&'()*+;=:@-]+)*$/;

function isOrigin(each) {
  return each !== null && typeof each === 'object' && typeof each.host === 'string' && HOST.test(each.host)
    && typeof each.path === 'string' && PATH.test(each.path)
    && Number.isInteger(each.weight) && each.weight >= 0;
}

// One of the origins, each as often as its weight says; null when all are drained. Throws when this is no list of origins.
function chosen(origins, random) {
  if (!Array.isArray(origins) || !origins.every(isOrigin)) {
    throw new Error('no list of origins');
  }
  let left = random * origins.reduce((sum, each) => sum + each.weight, 0);
  for (let i = 0; i < origins.length; i++) {
    if (left < origins[i].weight) {
      return origins[i];
    }
    left -= origins[i].weight;
  }
  return null;
}

async function handler(event) {
  try {
    const origin = chosen(await cf.kvs().get('origins', {format: 'json'}), Math.random());
    if (origin !== null) {
      const changed = {
        domainName: origin.host,
        originAccessControlConfig: {
          enabled: true, signingBehavior: 'always', signingProtocol: 'sigv4', originType: 's3'
        }
      };
      if (origin.path !== '') {
        changed.originPath = origin.path;
      }
      cf.updateRequestOrigin(changed);
    }
  } catch (error) {
    console.log('configured origin: ' + error);
  }
  return event.request;
}
