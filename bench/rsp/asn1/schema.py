"""Generated from the ASN.1 text of this folder by ``python -m bench.rsp.asn1.generate``: do not edit."""

# ruff: noqa
# fmt: off
from __future__ import annotations

from typing import Any

# Module -> imports and types, as asn1tools compiles them.
SCHEMA: dict[str, dict[str, Any]] = {
 'PKIXCarried': {
  'imports': {},
  'types': {
   'Certificate': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'ANY', 'name': 'tbsCertificate'},
     {'type': 'ANY', 'name': 'signatureAlgorithm'},
     {'type': 'BIT STRING', 'name': 'signature'},
    ],
   },
   'CertificateList': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'ANY', 'name': 'tbsCertList'},
     {'type': 'ANY', 'name': 'signatureAlgorithm'},
     {'type': 'BIT STRING', 'name': 'signature'},
    ],
   },
   'SubjectPublicKeyInfo': {
    'type': 'SEQUENCE',
    'members': [{'type': 'ANY', 'name': 'algorithm'}, {'type': 'BIT STRING', 'name': 'subjectPublicKey'}],
   },
   'SubjectKeyIdentifier': {'type': 'OCTET STRING'},
  },
  'values': {},
  'object-classes': {},
 },
 'RSPDefinitions': {
  'imports': {'PKIXCarried': ['Certificate', 'CertificateList', 'SubjectKeyIdentifier']},
  'types': {
   'Octet1': {'type': 'OCTET STRING'},
   'Octet4': {'type': 'OCTET STRING'},
   'Octet8': {'type': 'OCTET STRING'},
   'Octet16': {'type': 'OCTET STRING'},
   'Octet32': {'type': 'OCTET STRING'},
   'OctetTo16': {'type': 'OCTET STRING'},
   'VersionType': {'type': 'OCTET STRING'},
   'Iccid': {'type': 'OCTET STRING', 'tag': {'number': 26, 'class': 'APPLICATION', 'kind': 'IMPLICIT'}},
   'RemoteOpId': {'type': 'INTEGER', 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
   'TransactionId': {'type': 'OCTET STRING'},
   'GetEuiccInfo1Request': {'type': 'SEQUENCE', 'members': [], 'tag': {'number': 32, 'kind': 'IMPLICIT'}},
   'EUICCInfo1': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'VersionType', 'name': 'svn', 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'SubjectKeyIdentifier'},
      'name': 'euiccCiPKIdListForVerification',
      'tag': {'number': 9, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'SubjectKeyIdentifier'},
      'name': 'euiccCiPKIdListForSigning',
      'tag': {'number': 10, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 32, 'kind': 'IMPLICIT'},
   },
   'GetEuiccInfo2Request': {'type': 'SEQUENCE', 'members': [], 'tag': {'number': 34, 'kind': 'IMPLICIT'}},
   'EUICCInfo2': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'VersionType', 'name': 'profileVersion', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'VersionType', 'name': 'svn', 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
     {'type': 'VersionType', 'name': 'euiccFirmwareVer', 'tag': {'number': 3, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'extCardResource', 'tag': {'number': 4, 'kind': 'IMPLICIT'}},
     {'type': 'UICCCapability', 'name': 'uiccCapability', 'tag': {'number': 5, 'kind': 'IMPLICIT'}},
     {
      'type': 'VersionType',
      'name': 'ts102241Version',
      'optional': True,
      'tag': {'number': 6, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'globalplatformVersion',
      'optional': True,
      'tag': {'number': 7, 'kind': 'IMPLICIT'},
     },
     {'type': 'RspCapability', 'name': 'rspCapability', 'tag': {'number': 8, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'SubjectKeyIdentifier'},
      'name': 'euiccCiPKIdListForVerification',
      'tag': {'number': 9, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'SubjectKeyIdentifier'},
      'name': 'euiccCiPKIdListForSigning',
      'tag': {'number': 10, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'euiccCategory', 'optional': True, 'tag': {'number': 11, 'kind': 'IMPLICIT'}},
     {
      'type': 'PprIds',
      'name': 'forbiddenProfilePolicyRules',
      'optional': True,
      'tag': {'number': 25, 'kind': 'IMPLICIT'},
     },
     {'type': 'VersionType', 'name': 'ppVersion'},
     {'type': 'UTF8String', 'name': 'sasAcreditationNumber'},
     {
      'type': 'CertificationDataObject',
      'name': 'certificationDataObject',
      'optional': True,
      'tag': {'number': 12, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'BIT STRING',
      'named-bits': True,
      'name': 'treProperties',
      'optional': True,
      'tag': {'number': 13, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'treProductReference',
      'optional': True,
      'tag': {'number': 14, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'VersionType'},
      'name': 'additionalEuiccProfilePackageVersions',
      'optional': True,
      'tag': {'number': 15, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 34, 'kind': 'IMPLICIT'},
   },
   'RspCapability': {'type': 'BIT STRING', 'named-bits': True},
   'UICCCapability': {'type': 'BIT STRING', 'named-bits': True},
   'CertificationDataObject': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'UTF8String', 'name': 'platformLabel', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'UTF8String', 'name': 'discoveryBaseURL', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
   },
   'CertificateInfo': {'type': 'BIT STRING', 'named-bits': True},
   'DeviceInfo': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'Octet4', 'name': 'tac', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'DeviceCapabilities', 'name': 'deviceCapabilities', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'Octet8', 'name': 'imei', 'optional': True, 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
    ],
   },
   'DeviceCapabilities': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'VersionType',
      'name': 'gsmSupportedRelease',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'utranSupportedRelease',
      'optional': True,
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'cdma2000onexSupportedRelease',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'cdma2000hrpdSupportedRelease',
      'optional': True,
      'tag': {'number': 3, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'cdma2000ehrpdSupportedRelease',
      'optional': True,
      'tag': {'number': 4, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'eutranEpcSupportedRelease',
      'optional': True,
      'tag': {'number': 5, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'contactlessSupportedRelease',
      'optional': True,
      'tag': {'number': 6, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'rspCrlSupportedVersion',
      'optional': True,
      'tag': {'number': 7, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'nrEpcSupportedRelease',
      'optional': True,
      'tag': {'number': 8, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'nr5gcSupportedRelease',
      'optional': True,
      'tag': {'number': 9, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'eutran5gcSupportedRelease',
      'optional': True,
      'tag': {'number': 10, 'kind': 'IMPLICIT'},
     },
     {'type': 'VersionType', 'name': 'lpaSvn', 'optional': True, 'tag': {'number': 11, 'kind': 'IMPLICIT'}},
     {
      'type': 'CatSupportedClasses',
      'name': 'catSupportedClasses',
      'optional': True,
      'tag': {'number': 12, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'EuiccFormFactorType',
      'name': 'euiccFormFactorType',
      'optional': True,
      'tag': {'number': 13, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'DeviceAdditionalFeatureSupport',
      'name': 'deviceAdditionalFeatureSupport',
      'optional': True,
      'tag': {'number': 14, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'DeviceAdditionalFeatureSupport': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'VersionType', 'name': 'naiSupport', 'optional': True, 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
    ],
   },
   'CatSupportedClasses': {'type': 'BIT STRING'},
   'EuiccFormFactorType': {'type': 'INTEGER'},
   'ProfileInfoListRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CHOICE',
      'members': [
       {
        'type': 'OctetTo16',
        'name': 'isdpAid',
        'tag': {'number': 15, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
       },
       {'type': 'Iccid', 'name': 'iccid'},
       {'type': 'ProfileClass', 'name': 'profileClass', 'tag': {'number': 21, 'kind': 'IMPLICIT'}},
      ],
      'name': 'searchCriteria',
      'optional': True,
      'tag': {'number': 0, 'kind': 'EXPLICIT'},
     },
     {
      'type': 'OCTET STRING',
      'name': 'tagList',
      'optional': True,
      'tag': {'number': 28, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 45, 'kind': 'IMPLICIT'},
   },
   'ProfileInfoListResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'ProfileInfo'},
      'name': 'profileInfoListOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'ProfileInfoListError',
      'name': 'profileInfoListError',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 45, 'kind': 'EXPLICIT'},
   },
   'ProfileInfo': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'Iccid', 'name': 'iccid', 'optional': True},
     {
      'type': 'OctetTo16',
      'name': 'isdpAid',
      'optional': True,
      'tag': {'number': 15, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {
      'type': 'ProfileState',
      'name': 'profileState',
      'optional': True,
      'tag': {'number': 112, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'profileNickname',
      'optional': True,
      'tag': {'number': 16, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'serviceProviderName',
      'optional': True,
      'tag': {'number': 17, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'profileName',
      'optional': True,
      'tag': {'number': 18, 'kind': 'IMPLICIT'},
     },
     {'type': 'IconType', 'name': 'iconType', 'optional': True, 'tag': {'number': 19, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'icon', 'optional': True, 'tag': {'number': 20, 'kind': 'IMPLICIT'}},
     {
      'type': 'ProfileClass',
      'name': 'profileClass',
      'optional': True,
      'tag': {'number': 21, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'NotificationConfigurationInformation'},
      'name': 'notificationConfigurationInfo',
      'optional': True,
      'tag': {'number': 22, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'OperatorId',
      'name': 'profileOwner',
      'optional': True,
      'tag': {'number': 23, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'DpProprietaryData',
      'name': 'dpProprietaryData',
      'optional': True,
      'tag': {'number': 24, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'PprIds',
      'name': 'profilePolicyRules',
      'optional': True,
      'tag': {'number': 25, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VendorSpecificExtension',
      'name': 'serviceSpecificDataStoredInEuicc',
      'optional': True,
      'tag': {'number': 34, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 3, 'class': 'PRIVATE', 'kind': 'IMPLICIT'},
   },
   'PprIds': {'type': 'BIT STRING', 'named-bits': True},
   'OperatorId': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'OCTET STRING', 'name': 'mccMnc', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'gid1', 'optional': True, 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'gid2', 'optional': True, 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
    ],
   },
   'ProfileInfoListError': {'type': 'INTEGER'},
   'StoreMetadataRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'Iccid', 'name': 'iccid'},
     {'type': 'UTF8String', 'name': 'serviceProviderName', 'tag': {'number': 17, 'kind': 'IMPLICIT'}},
     {'type': 'UTF8String', 'name': 'profileName', 'tag': {'number': 18, 'kind': 'IMPLICIT'}},
     {'type': 'IconType', 'name': 'iconType', 'optional': True, 'tag': {'number': 19, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'icon', 'optional': True, 'tag': {'number': 20, 'kind': 'IMPLICIT'}},
     {'type': 'ProfileClass', 'name': 'profileClass', 'default': 2, 'tag': {'number': 21, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'NotificationConfigurationInformation'},
      'name': 'notificationConfigurationInfo',
      'optional': True,
      'tag': {'number': 22, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'OperatorId',
      'name': 'profileOwner',
      'optional': True,
      'tag': {'number': 23, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'PprIds',
      'name': 'profilePolicyRules',
      'optional': True,
      'tag': {'number': 25, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VendorSpecificExtension',
      'name': 'serviceSpecificDataStoredInEuicc',
      'optional': True,
      'tag': {'number': 34, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VendorSpecificExtension',
      'name': 'serviceSpecificDataNotStoredInEuicc',
      'optional': True,
      'tag': {'number': 35, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 37, 'kind': 'IMPLICIT'},
   },
   'NotificationEvent': {'type': 'BIT STRING', 'named-bits': True},
   'NotificationConfigurationInformation': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'NotificationEvent',
      'name': 'profileManagementOperation',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'UTF8String', 'name': 'notificationAddress', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
   },
   'VendorSpecificExtension': {
    'type': 'SEQUENCE OF',
    'element': {
     'type': 'SEQUENCE',
     'members': [
      {'type': 'OBJECT IDENTIFIER', 'name': 'vendorOid', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
      {'type': 'ANY', 'name': 'vendorSpecificData', 'tag': {'number': 1, 'kind': 'EXPLICIT'}},
     ],
    },
   },
   'IconType': {'type': 'INTEGER'},
   'ProfileState': {'type': 'INTEGER'},
   'ProfileClass': {'type': 'INTEGER'},
   'UpdateMetadataRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'UTF8String',
      'name': 'serviceProviderName',
      'optional': True,
      'tag': {'number': 17, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'profileName',
      'optional': True,
      'tag': {'number': 18, 'kind': 'IMPLICIT'},
     },
     {'type': 'IconType', 'name': 'iconType', 'optional': True, 'tag': {'number': 19, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'icon', 'optional': True, 'tag': {'number': 20, 'kind': 'IMPLICIT'}},
     {
      'type': 'PprIds',
      'name': 'profilePolicyRules',
      'optional': True,
      'tag': {'number': 25, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VendorSpecificExtension',
      'name': 'serviceSpecificDataStoredInEuicc',
      'optional': True,
      'tag': {'number': 34, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 42, 'kind': 'IMPLICIT'},
   },
   'PrepareDownloadRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'SmdpSigned2', 'name': 'smdpSigned2'},
     {
      'type': 'OCTET STRING',
      'name': 'smdpSignature2',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'Octet32', 'name': 'hashCc', 'optional': True},
     {'type': 'Certificate', 'name': 'smdpCertificate'},
    ],
    'tag': {'number': 33, 'kind': 'IMPLICIT'},
   },
   'SmdpSigned2': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'BOOLEAN', 'name': 'ccRequiredFlag'},
     {
      'type': 'OCTET STRING',
      'name': 'bppEuiccOtpk',
      'optional': True,
      'tag': {'number': 73, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
   },
   'PrepareDownloadResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'PrepareDownloadResponseOk',
      'name': 'downloadResponseOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'PrepareDownloadResponseError',
      'name': 'downloadResponseError',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 33, 'kind': 'EXPLICIT'},
   },
   'PrepareDownloadResponseOk': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'EUICCSigned2', 'name': 'euiccSigned2'},
     {
      'type': 'OCTET STRING',
      'name': 'euiccSignature2',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EUICCSigned2': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'OCTET STRING',
      'name': 'euiccOtpk',
      'tag': {'number': 73, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'Octet32', 'name': 'hashCc', 'optional': True},
    ],
   },
   'PrepareDownloadResponseError': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'DownloadErrorCode', 'name': 'downloadErrorCode'},
    ],
   },
   'DownloadErrorCode': {'type': 'INTEGER'},
   'AuthenticateServerRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'ServerSigned1', 'name': 'serverSigned1'},
     {
      'type': 'OCTET STRING',
      'name': 'serverSignature1',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'SubjectKeyIdentifier', 'name': 'euiccCiPKIdToBeUsed'},
     {'type': 'Certificate', 'name': 'serverCertificate'},
     {'type': 'CtxParams1', 'name': 'ctxParams1'},
    ],
    'tag': {'number': 56, 'kind': 'IMPLICIT'},
   },
   'ServerSigned1': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'Octet16', 'name': 'euiccChallenge', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'UTF8String', 'name': 'serverAddress', 'tag': {'number': 3, 'kind': 'IMPLICIT'}},
     {'type': 'Octet16', 'name': 'serverChallenge', 'tag': {'number': 4, 'kind': 'IMPLICIT'}},
    ],
   },
   'CtxParams1': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'CtxParamsForCommonAuthentication',
      'name': 'ctxParamsForCommonAuthentication',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'CtxParamsForCommonAuthentication': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'UTF8String', 'name': 'matchingId', 'optional': True, 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'DeviceInfo', 'name': 'deviceInfo', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
   },
   'AuthenticateServerResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'AuthenticateResponseOk',
      'name': 'authenticateResponseOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'AuthenticateResponseError',
      'name': 'authenticateResponseError',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 56, 'kind': 'EXPLICIT'},
   },
   'AuthenticateResponseOk': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'EuiccSigned1', 'name': 'euiccSigned1'},
     {
      'type': 'OCTET STRING',
      'name': 'euiccSignature1',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'Certificate', 'name': 'euiccCertificate'},
     {'type': 'Certificate', 'name': 'eumCertificate'},
    ],
   },
   'EuiccSigned1': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'UTF8String', 'name': 'serverAddress', 'tag': {'number': 3, 'kind': 'IMPLICIT'}},
     {'type': 'Octet16', 'name': 'serverChallenge', 'tag': {'number': 4, 'kind': 'IMPLICIT'}},
     {'type': 'EUICCInfo2', 'name': 'euiccInfo2'},
     {'type': 'CtxParams1', 'name': 'ctxParams1'},
    ],
   },
   'AuthenticateResponseError': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'AuthenticateErrorCode', 'name': 'authenticateErrorCode'},
    ],
   },
   'AuthenticateErrorCode': {'type': 'INTEGER'},
   'CancelSessionRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'CancelSessionReason', 'name': 'reason', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 65, 'kind': 'IMPLICIT'},
   },
   'CancelSessionReason': {'type': 'INTEGER'},
   'CancelSessionResponse': {'type': 'CancelSessionResponseChoice', 'tag': {'number': 65, 'kind': 'EXPLICIT'}},
   'CancelSessionResponseChoice': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'CancelSessionResponseOk',
      'name': 'cancelSessionResponseOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'cancelSessionResponseError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
   },
   'CancelSessionResponseOk': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'EuiccCancelSessionSigned', 'name': 'euiccCancelSessionSigned'},
     {
      'type': 'OCTET STRING',
      'name': 'euiccCancelSessionSignature',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EuiccCancelSessionSigned': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'OBJECT IDENTIFIER', 'name': 'smdpOid', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'CancelSessionReason', 'name': 'reason', 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
    ],
   },
   'BoundProfilePackage-87tlv': {'type': 'OCTET STRING', 'tag': {'number': 7, 'kind': 'IMPLICIT'}},
   'BoundProfilePackage-88tlv': {'type': 'OCTET STRING', 'tag': {'number': 8, 'kind': 'IMPLICIT'}},
   'BoundProfilePackage-86tlv': {'type': 'OCTET STRING', 'tag': {'number': 6, 'kind': 'IMPLICIT'}},
   'BoundProfilePackage-FirstSequenceOf87': {
    'type': 'SEQUENCE OF',
    'element': {'type': 'BoundProfilePackage-87tlv'},
    'tag': {'number': 0, 'kind': 'IMPLICIT'},
   },
   'BoundProfilePackage-SequenceOf88': {
    'type': 'SEQUENCE OF',
    'element': {'type': 'BoundProfilePackage-88tlv'},
    'tag': {'number': 1, 'kind': 'IMPLICIT'},
   },
   'BoundProfilePackage-SecondSequenceOf87': {
    'type': 'SEQUENCE OF',
    'element': {'type': 'BoundProfilePackage-87tlv'},
    'tag': {'number': 2, 'kind': 'IMPLICIT'},
   },
   'BoundProfilePackage-SequenceOf86': {
    'type': 'SEQUENCE OF',
    'element': {'type': 'BoundProfilePackage-86tlv'},
    'tag': {'number': 3, 'kind': 'IMPLICIT'},
   },
   'BoundProfilePackage': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'InitialiseSecureChannelRequest', 'name': 'initialiseSecureChannelRequest'},
     {'type': 'BoundProfilePackage-FirstSequenceOf87', 'name': 'firstSequenceOf87'},
     {'type': 'BoundProfilePackage-SequenceOf88', 'name': 'sequenceOf88'},
     {'type': 'BoundProfilePackage-SecondSequenceOf87', 'name': 'secondSequenceOf87', 'optional': True},
     {'type': 'BoundProfilePackage-SequenceOf86', 'name': 'sequenceOf86'},
    ],
    'tag': {'number': 54, 'kind': 'IMPLICIT'},
   },
   'GetEuiccChallengeRequest': {'type': 'SEQUENCE', 'members': [], 'tag': {'number': 46, 'kind': 'IMPLICIT'}},
   'GetEuiccChallengeResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'Octet16', 'name': 'euiccChallenge', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 46, 'kind': 'IMPLICIT'},
   },
   'ProfileInstallationResult': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'ProfileInstallationResultData', 'name': 'profileInstallationResultData'},
     {'type': 'EuiccSignPIR', 'name': 'euiccSignPIR'},
    ],
    'tag': {'number': 55, 'kind': 'IMPLICIT'},
   },
   'ProfileInstallationResultData': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'NotificationMetadata', 'name': 'notificationMetadata'},
     {'type': 'OBJECT IDENTIFIER', 'name': 'smdpOid'},
     {
      'type': 'CHOICE',
      'members': [
       {'type': 'SuccessResult', 'name': 'successResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
       {'type': 'ErrorResult', 'name': 'errorResult', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
      ],
      'name': 'finalResult',
      'tag': {'number': 2, 'kind': 'EXPLICIT'},
     },
    ],
    'tag': {'number': 39, 'kind': 'IMPLICIT'},
   },
   'EuiccSignPIR': {'type': 'OCTET STRING', 'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'}},
   'SuccessResult': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'OCTET STRING',
      'name': 'aid',
      'tag': {'number': 15, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'OCTET STRING', 'name': 'simaResponse'},
    ],
   },
   'ErrorResult': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'BppCommandId', 'name': 'bppCommandId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'ErrorReason', 'name': 'errorReason', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {
      'type': 'OCTET STRING',
      'name': 'simaResponse',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'BppCommandId': {'type': 'INTEGER'},
   'ErrorReason': {'type': 'INTEGER'},
   'ListNotificationRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'NotificationEvent',
      'name': 'profileManagementOperation',
      'optional': True,
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 40, 'kind': 'IMPLICIT'},
   },
   'ListNotificationResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'NotificationMetadata'},
      'name': 'notificationMetadataList',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'listNotificationsResultError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 40, 'kind': 'EXPLICIT'},
   },
   'NotificationMetadata': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'INTEGER', 'name': 'seqNumber', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'NotificationEvent',
      'name': 'profileManagementOperation',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {'type': 'UTF8String', 'name': 'notificationAddress'},
     {'type': 'Iccid', 'name': 'iccid', 'optional': True},
    ],
    'tag': {'number': 47, 'kind': 'IMPLICIT'},
   },
   'SetNicknameRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'Iccid', 'name': 'iccid'},
     {'type': 'UTF8String', 'name': 'profileNickname', 'tag': {'number': 16, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 41, 'kind': 'IMPLICIT'},
   },
   'SetNicknameResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'setNicknameResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 41, 'kind': 'IMPLICIT'},
   },
   'InitialiseSecureChannelRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'RemoteOpId', 'name': 'remoteOpId'},
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'ControlRefTemplate', 'name': 'controlRefTemplate', 'tag': {'number': 6, 'kind': 'IMPLICIT'}},
     {
      'type': 'OCTET STRING',
      'name': 'smdpOtpk',
      'tag': {'number': 73, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {
      'type': 'OCTET STRING',
      'name': 'smdpSign',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 35, 'kind': 'IMPLICIT'},
   },
   'ControlRefTemplate': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'Octet1', 'name': 'keyType', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'Octet1', 'name': 'keyLen', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'OctetTo16', 'name': 'hostId', 'tag': {'number': 4, 'kind': 'IMPLICIT'}},
    ],
   },
   'ConfigureISDPRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'DpProprietaryData',
      'name': 'dpProprietaryData',
      'optional': True,
      'tag': {'number': 24, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 36, 'kind': 'IMPLICIT'},
   },
   'DpProprietaryData': {
    'type': 'SEQUENCE',
    'members': [{'type': 'OBJECT IDENTIFIER', 'name': 'dpOid', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
   },
   'ReplaceSessionKeysRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'OCTET STRING', 'name': 'initialMacChainingValue', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'ppkEnc', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'ppkCmac', 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 38, 'kind': 'IMPLICIT'},
   },
   'RetrieveNotificationsListRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CHOICE',
      'members': [
       {'type': 'INTEGER', 'name': 'seqNumber', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
       {
        'type': 'NotificationEvent',
        'name': 'profileManagementOperation',
        'tag': {'number': 1, 'kind': 'IMPLICIT'},
       },
      ],
      'name': 'searchCriteria',
      'optional': True,
      'tag': {'number': 0, 'kind': 'EXPLICIT'},
     },
    ],
    'tag': {'number': 43, 'kind': 'IMPLICIT'},
   },
   'RetrieveNotificationsListResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'PendingNotification'},
      'name': 'notificationList',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'notificationsListResultError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 43, 'kind': 'EXPLICIT'},
   },
   'PendingNotification': {
    'type': 'CHOICE',
    'members': [
     {'type': 'ProfileInstallationResult', 'name': 'profileInstallationResult'},
     {'type': 'OtherSignedNotification', 'name': 'otherSignedNotification'},
    ],
   },
   'OtherSignedNotification': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'NotificationMetadata', 'name': 'tbsOtherNotification'},
     {
      'type': 'OCTET STRING',
      'name': 'euiccNotificationSignature',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'Certificate', 'name': 'euiccCertificate'},
     {'type': 'Certificate', 'name': 'eumCertificate'},
    ],
   },
   'NotificationSentRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'seqNumber', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 48, 'kind': 'IMPLICIT'},
   },
   'NotificationSentResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'deleteNotificationStatus', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 48, 'kind': 'IMPLICIT'},
   },
   'EnableProfileRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CHOICE',
      'members': [
       {
        'type': 'OctetTo16',
        'name': 'isdpAid',
        'tag': {'number': 15, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
       },
       {'type': 'Iccid', 'name': 'iccid'},
      ],
      'name': 'profileIdentifier',
      'tag': {'number': 0, 'kind': 'EXPLICIT'},
     },
     {'type': 'BOOLEAN', 'name': 'refreshFlag', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 49, 'kind': 'IMPLICIT'},
   },
   'EnableProfileResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'enableResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 49, 'kind': 'IMPLICIT'},
   },
   'DisableProfileRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CHOICE',
      'members': [
       {
        'type': 'OctetTo16',
        'name': 'isdpAid',
        'tag': {'number': 15, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
       },
       {'type': 'Iccid', 'name': 'iccid'},
      ],
      'name': 'profileIdentifier',
      'tag': {'number': 0, 'kind': 'EXPLICIT'},
     },
     {'type': 'BOOLEAN', 'name': 'refreshFlag', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 50, 'kind': 'IMPLICIT'},
   },
   'DisableProfileResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'disableResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 50, 'kind': 'IMPLICIT'},
   },
   'DeleteProfileRequest': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'OctetTo16',
      'name': 'isdpAid',
      'tag': {'number': 15, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'Iccid', 'name': 'iccid'},
    ],
    'tag': {'number': 51, 'kind': 'EXPLICIT'},
   },
   'DeleteProfileResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'deleteResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 51, 'kind': 'IMPLICIT'},
   },
   'EuiccMemoryResetRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'BIT STRING',
      'named-bits': True,
      'name': 'resetOptions',
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 52, 'kind': 'IMPLICIT'},
   },
   'EuiccMemoryResetResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'resetResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 52, 'kind': 'IMPLICIT'},
   },
   'GetEuiccDataRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'Octet1', 'name': 'tagList', 'tag': {'number': 28, 'class': 'APPLICATION', 'kind': 'IMPLICIT'}}],
    'tag': {'number': 62, 'kind': 'IMPLICIT'},
   },
   'GetEuiccDataResponse': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'Octet16',
      'name': 'eidValue',
      'tag': {'number': 26, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 62, 'kind': 'IMPLICIT'},
   },
   'GetRatRequest': {'type': 'SEQUENCE', 'members': [], 'tag': {'number': 67, 'kind': 'IMPLICIT'}},
   'GetRatResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'RulesAuthorisationTable', 'name': 'rat', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 67, 'kind': 'IMPLICIT'},
   },
   'RulesAuthorisationTable': {'type': 'SEQUENCE OF', 'element': {'type': 'ProfilePolicyAuthorisationRule'}},
   'ProfilePolicyAuthorisationRule': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'PprIds', 'name': 'pprIds', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'OperatorId'},
      'name': 'allowedOperators',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {'type': 'BIT STRING', 'named-bits': True, 'name': 'pprFlags', 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
    ],
   },
   'SegmentedCrlList': {'type': 'SEQUENCE OF', 'element': {'type': 'CertificateList'}},
   'LoadCRLRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'CertificateList', 'name': 'crl', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 53, 'kind': 'IMPLICIT'},
   },
   'LoadCRLResponse': {
    'type': 'CHOICE',
    'members': [
     {'type': 'LoadCRLResponseOk', 'name': 'loadCRLResponseOk', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'LoadCRLResponseError',
      'name': 'loadCRLResponseError',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 53, 'kind': 'EXPLICIT'},
   },
   'LoadCRLResponseOk': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'INTEGER'},
      'name': 'missingParts',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'LoadCRLResponseError': {'type': 'INTEGER'},
   'ExpirationDate': {
    'type': 'CHOICE',
    'members': [{'type': 'UTCTime', 'name': 'utcTime'}, {'type': 'GeneralizedTime', 'name': 'generalTime'}],
   },
   'TotalPartialCrlNumber': {'type': 'INTEGER'},
   'PartialCrlNumber': {'type': 'INTEGER'},
   'RemoteProfileProvisioningRequest': {
    'type': 'CHOICE',
    'members': [
     {'type': 'InitiateAuthenticationRequest', 'name': 'initiateAuthenticationRequest'},
     {'type': 'AuthenticateClientRequest', 'name': 'authenticateClientRequest'},
     {'type': 'GetBoundProfilePackageRequest', 'name': 'getBoundProfilePackageRequest'},
     {'type': 'CancelSessionRequestEs9', 'name': 'cancelSessionRequestEs9'},
     {'type': 'HandleNotification', 'name': 'handleNotification'},
    ],
    'tag': {'number': 2, 'kind': 'EXPLICIT'},
   },
   'RemoteProfileProvisioningResponse': {
    'type': 'CHOICE',
    'members': [
     {'type': 'InitiateAuthenticationResponse', 'name': 'initiateAuthenticationResponse'},
     {'type': 'AuthenticateClientResponseEs9', 'name': 'authenticateClientResponseEs9'},
     {'type': 'GetBoundProfilePackageResponse', 'name': 'getBoundProfilePackageResponse'},
     {'type': 'CancelSessionResponseEs9', 'name': 'cancelSessionResponseEs9'},
     {'type': 'AuthenticateClientResponseEs11', 'name': 'authenticateClientResponseEs11'},
    ],
    'tag': {'number': 2, 'kind': 'EXPLICIT'},
   },
   'InitiateAuthenticationRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'Octet16', 'name': 'euiccChallenge', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'UTF8String', 'name': 'smdpAddress', 'tag': {'number': 3, 'kind': 'IMPLICIT'}},
     {'type': 'EUICCInfo1', 'name': 'euiccInfo1'},
    ],
    'tag': {'number': 57, 'kind': 'IMPLICIT'},
   },
   'InitiateAuthenticationResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'InitiateAuthenticationOkEs9',
      'name': 'initiateAuthenticationOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'initiateAuthenticationError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 57, 'kind': 'EXPLICIT'},
   },
   'InitiateAuthenticationOkEs9': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'ServerSigned1', 'name': 'serverSigned1'},
     {
      'type': 'OCTET STRING',
      'name': 'serverSignature1',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'SubjectKeyIdentifier', 'name': 'euiccCiPKIdToBeUsed'},
     {'type': 'Certificate', 'name': 'serverCertificate'},
    ],
   },
   'AuthenticateClientRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'AuthenticateServerResponse', 'name': 'authenticateServerResponse'},
    ],
    'tag': {'number': 59, 'kind': 'IMPLICIT'},
   },
   'AuthenticateClientResponseEs9': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'AuthenticateClientOk',
      'name': 'authenticateClientOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'authenticateClientError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 59, 'kind': 'EXPLICIT'},
   },
   'AuthenticateClientOk': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'StoreMetadataRequest', 'name': 'profileMetaData'},
     {'type': 'SmdpSigned2', 'name': 'smdpSigned2'},
     {
      'type': 'OCTET STRING',
      'name': 'smdpSignature2',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'Certificate', 'name': 'smdpCertificate'},
    ],
   },
   'GetBoundProfilePackageRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'PrepareDownloadResponse', 'name': 'prepareDownloadResponse'},
    ],
    'tag': {'number': 58, 'kind': 'IMPLICIT'},
   },
   'GetBoundProfilePackageResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'GetBoundProfilePackageOk',
      'name': 'getBoundProfilePackageOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'getBoundProfilePackageError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 58, 'kind': 'EXPLICIT'},
   },
   'GetBoundProfilePackageOk': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'BoundProfilePackage', 'name': 'boundProfilePackage'},
    ],
   },
   'HandleNotification': {
    'type': 'SEQUENCE',
    'members': [{'type': 'PendingNotification', 'name': 'pendingNotification', 'tag': {'number': 0, 'kind': 'EXPLICIT'}}],
    'tag': {'number': 61, 'kind': 'IMPLICIT'},
   },
   'CancelSessionRequestEs9': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'CancelSessionResponseChoice',
      'name': 'cancelSessionResponse',
      'tag': {'number': 1, 'kind': 'EXPLICIT'},
     },
    ],
    'tag': {'number': 65, 'kind': 'IMPLICIT'},
   },
   'CancelSessionResponseEs9': {
    'type': 'CHOICE',
    'members': [
     {'type': 'CancelSessionOk', 'name': 'cancelSessionOk', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'INTEGER', 'name': 'cancelSessionError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 65, 'kind': 'EXPLICIT'},
   },
   'CancelSessionOk': {'type': 'SEQUENCE', 'members': []},
   'EuiccConfiguredAddressesRequest': {'type': 'SEQUENCE', 'members': [], 'tag': {'number': 60, 'kind': 'IMPLICIT'}},
   'EuiccConfiguredAddressesResponse': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'UTF8String',
      'name': 'defaultDpAddress',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'UTF8String', 'name': 'rootDsAddress', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 60, 'kind': 'IMPLICIT'},
   },
   'ISDRProprietaryApplicationTemplate': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'VersionType', 'name': 'svn', 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
     {'type': 'BIT STRING', 'named-bits': True, 'name': 'lpaeSupport', 'optional': True},
    ],
    'tag': {'number': 0, 'class': 'PRIVATE', 'kind': 'IMPLICIT'},
   },
   'LpaeActivationRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'BIT STRING',
      'named-bits': True,
      'name': 'lpaeOption',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 66, 'kind': 'IMPLICIT'},
   },
   'LpaeActivationResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'lpaeActivationResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 66, 'kind': 'IMPLICIT'},
   },
   'SetDefaultDpAddressRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'UTF8String', 'name': 'defaultDpAddress', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 63, 'kind': 'IMPLICIT'},
   },
   'SetDefaultDpAddressResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'setDefaultDpAddressResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 63, 'kind': 'IMPLICIT'},
   },
   'AuthenticateClientResponseEs11': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'AuthenticateClientOkEs11',
      'name': 'authenticateClientOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'authenticateClientError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 64, 'kind': 'EXPLICIT'},
   },
   'AuthenticateClientOkEs11': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'EventEntries'},
      'name': 'eventEntries',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EventEntries': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'UTF8String', 'name': 'eventId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'UTF8String', 'name': 'rspServerAddress', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
   },
  },
  'values': {},
  'object-classes': {},
 },
 'SGP32Definitions': {
  'imports': {
   'RSPDefinitions': [
    'AuthenticateResponseError',
    'BoundProfilePackage',
    'CancelSessionReason',
    'CancelSessionResponseOk',
    'CertificationDataObject',
    'CtxParams1',
    'DeviceInfo',
    'DpProprietaryData',
    'EUICCInfo1',
    'ErrorResult',
    'EuiccSignPIR',
    'Iccid',
    'IconType',
    'NotificationConfigurationInformation',
    'NotificationEvent',
    'NotificationMetadata',
    'Octet16',
    'Octet32',
    'OctetTo16',
    'OperatorId',
    'OtherSignedNotification',
    'PprIds',
    'PrepareDownloadResponseError',
    'PrepareDownloadResponseOk',
    'ProfileClass',
    'ProfileInfoListRequest',
    'ProfileInstallationResultData',
    'ProfileState',
    'RspCapability',
    'RulesAuthorisationTable',
    'ServerSigned1',
    'SmdpSigned2',
    'TransactionId',
    'UICCCapability',
    'VendorSpecificExtension',
    'VersionType',
   ],
   'PKIXCarried': ['Certificate', 'SubjectKeyIdentifier', 'SubjectPublicKeyInfo'],
  },
  'types': {
   'EuiccPackageRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'EuiccPackageSigned', 'name': 'euiccPackageSigned'},
     {
      'type': 'OCTET STRING',
      'name': 'eimSignature',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 81, 'kind': 'IMPLICIT'},
   },
   'EuiccPackageSigned': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'UTF8String', 'name': 'eimId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'Octet16',
      'name': 'eidValue',
      'tag': {'number': 26, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'counterValue', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
     {'type': 'EuiccPackage', 'name': 'euiccPackage'},
    ],
   },
   'EuiccPackage': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'Psmo'},
      'name': 'psmoList',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'Eco'},
      'name': 'ecoList',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EimConfigurationData': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'UTF8String', 'name': 'eimId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'UTF8String', 'name': 'eimFqdn', 'optional': True, 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'EimIdType', 'name': 'eimIdType', 'optional': True, 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
     {'type': 'INTEGER', 'name': 'counterValue', 'optional': True, 'tag': {'number': 3, 'kind': 'IMPLICIT'}},
     {
      'type': 'INTEGER',
      'name': 'associationToken',
      'optional': True,
      'tag': {'number': 4, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'CHOICE',
      'members': [
       {'type': 'SubjectPublicKeyInfo', 'name': 'eimPublicKey', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
       {'type': 'Certificate', 'name': 'eimCertificate', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
      ],
      'name': 'eimPublicKeyData',
      'optional': True,
      'tag': {'number': 5, 'kind': 'EXPLICIT'},
     },
     {
      'type': 'CHOICE',
      'members': [
       {'type': 'SubjectPublicKeyInfo', 'name': 'trustedEimPkTls', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
       {'type': 'Certificate', 'name': 'trustedCertificateTls', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
      ],
      'name': 'trustedPublicKeyDataTls',
      'optional': True,
      'tag': {'number': 6, 'kind': 'EXPLICIT'},
     },
     {
      'type': 'EimSupportedProtocol',
      'name': 'eimSupportedProtocol',
      'optional': True,
      'tag': {'number': 7, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SubjectKeyIdentifier',
      'name': 'euiccCiPKId',
      'optional': True,
      'tag': {'number': 8, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'NULL',
      'name': 'indirectProfileDownload',
      'optional': True,
      'tag': {'number': 9, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VendorSpecificExtension',
      'name': 'eSipaProprietaryProtocolInformation',
      'optional': True,
      'tag': {'number': 10, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EimIdType': {'type': 'INTEGER'},
   'EimSupportedProtocol': {'type': 'BIT STRING', 'named-bits': True},
   'Eco': {
    'type': 'CHOICE',
    'members': [
     {'type': 'EimConfigurationData', 'name': 'addEim', 'tag': {'number': 8, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE',
      'members': [{'type': 'UTF8String', 'name': 'eimId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
      'name': 'deleteEim',
      'tag': {'number': 9, 'kind': 'IMPLICIT'},
     },
     {'type': 'EimConfigurationData', 'name': 'updateEim', 'tag': {'number': 10, 'kind': 'IMPLICIT'}},
     {'type': 'SEQUENCE', 'members': [], 'name': 'listEim', 'tag': {'number': 11, 'kind': 'IMPLICIT'}},
    ],
   },
   'Psmo': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'SEQUENCE',
      'members': [{'type': 'Iccid', 'name': 'iccid'}, {'type': 'NULL', 'name': 'rollbackFlag', 'optional': True}],
      'name': 'enable',
      'tag': {'number': 3, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE',
      'members': [{'type': 'Iccid', 'name': 'iccid'}],
      'name': 'disable',
      'tag': {'number': 4, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE',
      'members': [{'type': 'Iccid', 'name': 'iccid'}],
      'name': 'delete',
      'tag': {'number': 5, 'kind': 'IMPLICIT'},
     },
     {'type': 'ProfileInfoListRequest', 'name': 'listProfileInfo'},
     {'type': 'SEQUENCE', 'members': [], 'name': 'getRAT', 'tag': {'number': 6, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE',
      'members': [
       {
        'type': 'NULL',
        'name': 'immediateEnableFlag',
        'optional': True,
        'tag': {'number': 0, 'kind': 'IMPLICIT'},
       },
       {
        'type': 'OBJECT IDENTIFIER',
        'name': 'defaultSmdpOid',
        'optional': True,
        'tag': {'number': 1, 'kind': 'IMPLICIT'},
       },
       {
        'type': 'UTF8String',
        'name': 'defaultSmdpAddress',
        'optional': True,
        'tag': {'number': 2, 'kind': 'IMPLICIT'},
       },
      ],
      'name': 'configureImmediateEnable',
      'tag': {'number': 7, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE',
      'members': [{'type': 'Iccid', 'name': 'iccid'}],
      'name': 'setFallbackAttribute',
      'tag': {'number': 8, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE',
      'members': [],
      'name': 'unsetFallbackAttribute',
      'tag': {'number': 9, 'kind': 'IMPLICIT'},
     },
     {'type': 'SetDefaultDpAddressRequest', 'name': 'setDefaultDpAddress'},
    ],
   },
   'IpaEuiccDataRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'OCTET STRING',
      'name': 'tagList',
      'tag': {'number': 28, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'OCTET STRING', 'name': 'euiccCiPKIdentifierToBeUsed', 'optional': True},
     {
      'type': 'CHOICE',
      'members': [
       {'type': 'INTEGER', 'name': 'seqNumber', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
       {
        'type': 'NotificationEvent',
        'name': 'profileManagementOperation',
        'tag': {'number': 1, 'kind': 'IMPLICIT'},
       },
      ],
      'name': 'searchCriteriaNotification',
      'optional': True,
      'tag': {'number': 1, 'kind': 'EXPLICIT'},
     },
     {
      'type': 'CHOICE',
      'members': [{'type': 'INTEGER', 'name': 'seqNumber', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
      'name': 'searchCriteriaEuiccPackageResult',
      'optional': True,
      'tag': {'number': 2, 'kind': 'EXPLICIT'},
     },
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 3, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 82, 'kind': 'IMPLICIT'},
   },
   'ProfileDownloadTriggerRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'ProfileDownloadData',
      'name': 'profileDownloadData',
      'optional': True,
      'tag': {'number': 0, 'kind': 'EXPLICIT'},
     },
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 84, 'kind': 'IMPLICIT'},
   },
   'ProfileDownloadData': {
    'type': 'CHOICE',
    'members': [
     {'type': 'UTF8String', 'name': 'activationCode', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'NULL', 'name': 'contactDefaultSmdp', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE',
      'members': [
       {
        'type': 'UTF8String',
        'name': 'smdsAddress',
        'optional': True,
        'tag': {'number': 0, 'kind': 'IMPLICIT'},
       },
      ],
      'name': 'contactSmds',
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EimAcknowledgements': {'type': 'SEQUENCE OF', 'element': {'type': 'SequenceNumber'}, 'tag': {'number': 83, 'kind': 'IMPLICIT'}},
   'SequenceNumber': {'type': 'INTEGER', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
   'EuiccPackageResult': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'EuiccPackageResultSigned',
      'name': 'euiccPackageResultSigned',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'EuiccPackageErrorSigned',
      'name': 'euiccPackageErrorSigned',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'EuiccPackageErrorUnsigned',
      'name': 'euiccPackageErrorUnsigned',
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 81, 'kind': 'EXPLICIT'},
   },
   'EuiccPackageResultSigned': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'EuiccPackageResultDataSigned', 'name': 'euiccPackageResultDataSigned'},
     {
      'type': 'OCTET STRING',
      'name': 'euiccSignEPR',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EuiccPackageResultDataSigned': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'UTF8String', 'name': 'eimId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'INTEGER', 'name': 'counterValue', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'seqNumber', 'tag': {'number': 3, 'kind': 'IMPLICIT'}},
     {'type': 'SEQUENCE OF', 'element': {'type': 'EuiccResultData'}, 'name': 'euiccResult'},
    ],
   },
   'EuiccResultData': {
    'type': 'CHOICE',
    'members': [
     {'type': 'EnableProfileResult', 'name': 'enableResult', 'tag': {'number': 3, 'kind': 'IMPLICIT'}},
     {'type': 'DisableProfileResult', 'name': 'disableResult', 'tag': {'number': 4, 'kind': 'IMPLICIT'}},
     {'type': 'DeleteProfileResult', 'name': 'deleteResult', 'tag': {'number': 5, 'kind': 'IMPLICIT'}},
     {'type': 'ProfileInfoListResponse', 'name': 'listProfileInfoResult'},
     {'type': 'RulesAuthorisationTable', 'name': 'getRATResult', 'tag': {'number': 6, 'kind': 'IMPLICIT'}},
     {
      'type': 'ConfigureImmediateEnableResult',
      'name': 'configureImmediateEnableResult',
      'tag': {'number': 7, 'kind': 'IMPLICIT'},
     },
     {'type': 'AddEimResult', 'name': 'addEimResult', 'tag': {'number': 8, 'kind': 'EXPLICIT'}},
     {'type': 'DeleteEimResult', 'name': 'deleteEimResult', 'tag': {'number': 9, 'kind': 'IMPLICIT'}},
     {'type': 'UpdateEimResult', 'name': 'updateEimResult', 'tag': {'number': 10, 'kind': 'IMPLICIT'}},
     {'type': 'ListEimResult', 'name': 'listEimResult', 'tag': {'number': 11, 'kind': 'EXPLICIT'}},
     {'type': 'RollbackProfileResult', 'name': 'rollbackResult', 'tag': {'number': 12, 'kind': 'IMPLICIT'}},
     {
      'type': 'SetFallbackAttributeResult',
      'name': 'setFallbackAttributeResult',
      'tag': {'number': 13, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UnsetFallbackAttributeResult',
      'name': 'unsetFallbackAttributeResult',
      'tag': {'number': 14, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'processingTerminated'},
     {'type': 'SetDefaultDpAddressResponse', 'name': 'setDefaultDpAddressResult'},
    ],
   },
   'EuiccPackageErrorSigned': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'EuiccPackageErrorDataSigned', 'name': 'euiccPackageErrorDataSigned'},
     {
      'type': 'OCTET STRING',
      'name': 'euiccSignEPE',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EuiccPackageErrorDataSigned': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'UTF8String', 'name': 'eimId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'INTEGER', 'name': 'counterValue', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
     {'type': 'EuiccPackageErrorCode', 'name': 'euiccPackageErrorCode'},
    ],
   },
   'EuiccPackageErrorCode': {'type': 'INTEGER'},
   'EuiccPackageErrorUnsigned': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'UTF8String', 'name': 'eimId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'INTEGER',
      'name': 'associationToken',
      'optional': True,
      'tag': {'number': 4, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'EuiccPackageUnsignedErrorCode',
      'name': 'euiccPackageUnsignedErrorCode',
      'optional': True,
      'tag': {'number': 15, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EnableProfileResult': {'type': 'INTEGER'},
   'DisableProfileResult': {'type': 'INTEGER'},
   'DeleteProfileResult': {'type': 'INTEGER'},
   'ProfileInfoListResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'ProfileInfo'},
      'name': 'profileInfoListOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'ProfileInfoListError',
      'name': 'profileInfoListError',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 45, 'kind': 'EXPLICIT'},
   },
   'ProfileInfoListError': {'type': 'INTEGER'},
   'RollbackProfileResult': {'type': 'INTEGER'},
   'AddEimResult': {
    'type': 'CHOICE',
    'members': [
     {'type': 'INTEGER', 'name': 'associationToken', 'tag': {'number': 4, 'kind': 'IMPLICIT'}},
     {'type': 'INTEGER', 'name': 'addEimResultCode'},
    ],
   },
   'DeleteEimResult': {'type': 'INTEGER'},
   'UpdateEimResult': {'type': 'INTEGER'},
   'ListEimResult': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'EimIdInfo'},
      'name': 'eimIdList',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'listEimError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
   },
   'EimIdInfo': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'UTF8String', 'name': 'eimId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'EimIdType', 'name': 'eimIdType', 'optional': True, 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
    ],
   },
   'IpaEuiccDataResponse': {
    'type': 'CHOICE',
    'members': [
     {'type': 'IpaEuiccData', 'name': 'ipaEuiccData', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'IpaEuiccDataResponseError',
      'name': 'ipaEuiccDataResponseError',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 82, 'kind': 'EXPLICIT'},
   },
   'IpaEuiccData': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'PendingNotificationList',
      'name': 'notificationsList',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'defaultSmdpAddress',
      'optional': True,
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'EuiccPackageResultList',
      'name': 'euiccPackageResultList',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
     {'type': 'EUICCInfo1', 'name': 'euiccInfo1', 'optional': True},
     {'type': 'EUICCInfo2', 'name': 'euiccInfo2', 'optional': True},
     {
      'type': 'UTF8String',
      'name': 'rootSmdsAddress',
      'optional': True,
      'tag': {'number': 3, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'INTEGER',
      'name': 'associationToken',
      'optional': True,
      'tag': {'number': 4, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'Certificate',
      'name': 'eumCertificate',
      'optional': True,
      'tag': {'number': 5, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'Certificate',
      'name': 'euiccCertificate',
      'optional': True,
      'tag': {'number': 6, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 7, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'IpaCapabilities',
      'name': 'ipaCapabilities',
      'optional': True,
      'tag': {'number': 8, 'kind': 'IMPLICIT'},
     },
     {'type': 'DeviceInfo', 'name': 'deviceInfo', 'optional': True, 'tag': {'number': 9, 'kind': 'IMPLICIT'}},
    ],
   },
   'ProfileDownloadTriggerResult': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'CHOICE',
      'members': [
       {'type': 'ProfileInstallationResult', 'name': 'profileInstallationResult'},
       {
        'type': 'SEQUENCE',
        'members': [
         {'type': 'INTEGER', 'name': 'profileDownloadErrorReason', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
         {'type': 'OCTET STRING', 'name': 'errorResponse', 'optional': True},
        ],
        'name': 'profileDownloadError',
       },
      ],
      'name': 'profileDownloadTriggerResultData',
     },
    ],
    'tag': {'number': 84, 'kind': 'IMPLICIT'},
   },
   'IpaCapabilities': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'BIT STRING',
      'named-bits': True,
      'name': 'ipaFeatures',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'BIT STRING',
      'named-bits': True,
      'name': 'ipaSupportedProtocols',
      'optional': True,
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VendorSpecificExtension',
      'name': 'eSipaProprietaryProtocolInformation',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EUICCInfo2': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'VersionType', 'name': 'profileVersion', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'VersionType', 'name': 'svn', 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
     {'type': 'VersionType', 'name': 'euiccFirmwareVer', 'tag': {'number': 3, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'extCardResource', 'tag': {'number': 4, 'kind': 'IMPLICIT'}},
     {'type': 'UICCCapability', 'name': 'uiccCapability', 'tag': {'number': 5, 'kind': 'IMPLICIT'}},
     {
      'type': 'VersionType',
      'name': 'ts102241Version',
      'optional': True,
      'tag': {'number': 6, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'globalplatformVersion',
      'optional': True,
      'tag': {'number': 7, 'kind': 'IMPLICIT'},
     },
     {'type': 'RspCapability', 'name': 'rspCapability', 'tag': {'number': 8, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'SubjectKeyIdentifier'},
      'name': 'euiccCiPKIdListForVerification',
      'tag': {'number': 9, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'SubjectKeyIdentifier'},
      'name': 'euiccCiPKIdListForSigning',
      'tag': {'number': 10, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'euiccCategory', 'optional': True, 'tag': {'number': 11, 'kind': 'IMPLICIT'}},
     {
      'type': 'PprIds',
      'name': 'forbiddenProfilePolicyRules',
      'optional': True,
      'tag': {'number': 25, 'kind': 'IMPLICIT'},
     },
     {'type': 'VersionType', 'name': 'ppVersion'},
     {'type': 'UTF8String', 'name': 'sasAcreditationNumber'},
     {
      'type': 'CertificationDataObject',
      'name': 'certificationDataObject',
      'optional': True,
      'tag': {'number': 12, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'BIT STRING',
      'named-bits': True,
      'name': 'treProperties',
      'optional': True,
      'tag': {'number': 13, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'treProductReference',
      'optional': True,
      'tag': {'number': 14, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'VersionType'},
      'name': 'additionalEuiccProfilePackageVersions',
      'optional': True,
      'tag': {'number': 15, 'kind': 'IMPLICIT'},
     },
     {'type': 'IpaMode', 'name': 'ipaMode', 'optional': True, 'tag': {'number': 16, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'SubjectKeyIdentifier'},
      'name': 'euiccCiPKIdListForSigningV3',
      'optional': True,
      'tag': {'number': 17, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'OCTET STRING',
      'name': 'additionalEuiccInfo',
      'optional': True,
      'tag': {'number': 18, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VersionType',
      'name': 'highestSvn',
      'optional': True,
      'tag': {'number': 19, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'IoTSpecificInfo',
      'name': 'iotSpecificInfo',
      'optional': True,
      'tag': {'number': 20, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'OCTET STRING',
      'name': 'euiccMinimumSecurityLevel',
      'optional': True,
      'tag': {'number': 21, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 34, 'kind': 'IMPLICIT'},
   },
   'IoTSpecificInfo': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'VersionType'},
      'name': 'iotVersion',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'NULL', 'name': 'ecallSupported', 'optional': True, 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'NULL', 'name': 'fallbackSupported', 'optional': True, 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
     {
      'type': 'NULL',
      'name': 'fallbackAllowedUpdateSupported',
      'optional': True,
      'tag': {'number': 3, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'IpaMode': {'type': 'INTEGER'},
   'AddInitialEimRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'EimConfigurationData'},
      'name': 'eimConfigurationDataList',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 87, 'kind': 'IMPLICIT'},
   },
   'AddInitialEimResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {
       'type': 'CHOICE',
       'members': [
        {'type': 'INTEGER', 'name': 'associationToken', 'tag': {'number': 4, 'kind': 'IMPLICIT'}},
        {'type': 'NULL', 'name': 'addOk'},
       ],
      },
      'name': 'addInitialEimOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'addInitialEimError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 87, 'kind': 'EXPLICIT'},
   },
   'EuiccMemoryResetRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'BIT STRING',
      'named-bits': True,
      'name': 'resetOptions',
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 100, 'kind': 'IMPLICIT'},
   },
   'EuiccMemoryResetResponse': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'INTEGER', 'name': 'resetResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'INTEGER', 'name': 'resetEimResult', 'optional': True, 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {
      'type': 'INTEGER',
      'name': 'resetImmediateEnableConfigResult',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 100, 'kind': 'IMPLICIT'},
   },
   'GetCertsRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'SubjectKeyIdentifier',
      'name': 'euiccCiPKId',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 86, 'kind': 'IMPLICIT'},
   },
   'GetCertsResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'SEQUENCE',
      'members': [
       {'type': 'Certificate', 'name': 'eumCertificate', 'tag': {'number': 5, 'kind': 'IMPLICIT'}},
       {'type': 'Certificate', 'name': 'euiccCertificate', 'tag': {'number': 6, 'kind': 'IMPLICIT'}},
      ],
      'name': 'certs',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'getCertsError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 86, 'kind': 'EXPLICIT'},
   },
   'RetrieveNotificationsListRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CHOICE',
      'members': [
       {'type': 'INTEGER', 'name': 'seqNumber', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
       {
        'type': 'NotificationEvent',
        'name': 'profileManagementOperation',
        'tag': {'number': 1, 'kind': 'IMPLICIT'},
       },
       {'type': 'NULL', 'name': 'euiccPackageResults', 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
      ],
      'name': 'searchCriteria',
      'optional': True,
      'tag': {'number': 0, 'kind': 'EXPLICIT'},
     },
    ],
    'tag': {'number': 43, 'kind': 'IMPLICIT'},
   },
   'RetrieveNotificationsListResponse': {
    'type': 'CHOICE',
    'members': [
     {'type': 'PendingNotificationList', 'name': 'notificationList', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'INTEGER', 'name': 'notificationsListResultError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {
      'type': 'EuiccPackageResultList',
      'name': 'euiccPackageResultList',
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 43, 'kind': 'EXPLICIT'},
   },
   'ProfileRollbackRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'BOOLEAN', 'name': 'refreshFlag', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 88, 'kind': 'IMPLICIT'},
   },
   'ProfileRollbackResponse': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'INTEGER', 'name': 'cmdResult'},
     {'type': 'EuiccPackageResult', 'name': 'eUICCPackageResult', 'optional': True},
    ],
    'tag': {'number': 88, 'kind': 'IMPLICIT'},
   },
   'GetEimConfigurationDataRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CHOICE',
      'members': [{'type': 'UTF8String', 'name': 'eimId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
      'name': 'searchCriteria',
      'optional': True,
      'tag': {'number': 0, 'kind': 'EXPLICIT'},
     },
    ],
    'tag': {'number': 85, 'kind': 'IMPLICIT'},
   },
   'GetEimConfigurationDataResponse': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'EimConfigurationData'},
      'name': 'eimConfigurationDataList',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 85, 'kind': 'IMPLICIT'},
   },
   'PrepareDownloadResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'PrepareDownloadResponseOk',
      'name': 'downloadResponseOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'PrepareDownloadResponseError',
      'name': 'downloadResponseError',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'CompactPrepareDownloadResponseOk',
      'name': 'compactDownloadResponseOk',
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 33, 'kind': 'EXPLICIT'},
   },
   'CompactPrepareDownloadResponseOk': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'CompactEuiccSigned2', 'name': 'compactEuiccSigned2'},
     {
      'type': 'OCTET STRING',
      'name': 'euiccSignature2',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
   },
   'CompactEuiccSigned2': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'OCTET STRING',
      'name': 'euiccOtpk',
      'optional': True,
      'tag': {'number': 73, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'Octet32', 'name': 'hashCc', 'optional': True},
    ],
   },
   'AuthenticateServerResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'AuthenticateResponseOk',
      'name': 'authenticateResponseOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'AuthenticateResponseError',
      'name': 'authenticateResponseError',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'CompactAuthenticateResponseOk',
      'name': 'compactAuthenticateResponseOk',
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 56, 'kind': 'EXPLICIT'},
   },
   'CompactAuthenticateResponseOk': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CHOICE',
      'members': [
       {'type': 'EuiccSigned1', 'name': 'euiccSigned1'},
       {
        'type': 'CompactEuiccSigned1',
        'name': 'compactEuiccSigned1',
        'tag': {'number': 0, 'kind': 'IMPLICIT'},
       },
      ],
      'name': 'signedData',
     },
     {
      'type': 'OCTET STRING',
      'name': 'euiccSignature1',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {
      'type': 'Certificate',
      'name': 'euiccCertificate',
      'optional': True,
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'Certificate',
      'name': 'eumCertificate',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'CompactEuiccSigned1': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'OCTET STRING', 'name': 'extCardResource', 'tag': {'number': 4, 'kind': 'IMPLICIT'}},
     {'type': 'CtxParams1', 'name': 'ctxParams1', 'optional': True, 'tag': {'number': 2, 'kind': 'EXPLICIT'}},
    ],
   },
   'PendingNotification': {
    'type': 'CHOICE',
    'members': [
     {'type': 'ProfileInstallationResult', 'name': 'profileInstallationResult'},
     {'type': 'OtherSignedNotification', 'name': 'otherSignedNotification'},
     {
      'type': 'CompactProfileInstallationResult',
      'name': 'compactProfileInstallationResult',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'CompactOtherSignedNotification',
      'name': 'compactOtherSignedNotification',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'ProfileInstallationResult': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'ProfileInstallationResultData', 'name': 'profileInstallationResultData'},
     {'type': 'EuiccSignPIR', 'name': 'euiccSignPIR'},
    ],
    'tag': {'number': 55, 'kind': 'IMPLICIT'},
   },
   'CompactProfileInstallationResult': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CompactProfileInstallationResultData',
      'name': 'compactProfileInstallationResultData',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'EuiccSignPIR', 'name': 'euiccSignPIR'},
    ],
   },
   'CompactProfileInstallationResultData': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'INTEGER', 'name': 'seqNumber'},
     {'type': 'BOOLEAN', 'name': 'iccidPresent', 'default': True},
     {
      'type': 'CHOICE',
      'members': [
       {
        'type': 'CompactSuccessResult',
        'name': 'compactSuccessResult',
        'tag': {'number': 0, 'kind': 'IMPLICIT'},
       },
       {'type': 'ErrorResult', 'name': 'errorResult', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
      ],
      'name': 'compactFinalResult',
      'tag': {'number': 2, 'kind': 'EXPLICIT'},
     },
    ],
   },
   'CompactSuccessResult': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'OCTET STRING',
      'name': 'compactAid',
      'tag': {'number': 15, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'OCTET STRING', 'name': 'simaResponse', 'optional': True},
    ],
   },
   'CompactOtherSignedNotification': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'Octet16',
      'name': 'eidValue',
      'optional': True,
      'tag': {'number': 26, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'NotificationMetadata', 'name': 'tbsOtherNotification'},
     {
      'type': 'OCTET STRING',
      'name': 'euiccNotificationSignature',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'OCTET STRING', 'name': 'euiccCiPKIdentifierToBeUsed', 'optional': True},
    ],
   },
   'CancelSessionResponse': {'type': 'CancelSessionResponseChoice', 'tag': {'number': 65, 'kind': 'EXPLICIT'}},
   'CancelSessionResponseChoice': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'CancelSessionResponseOk',
      'name': 'cancelSessionResponseOk',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'cancelSessionResponseError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {
      'type': 'CompactCancelSessionResponseOk',
      'name': 'compactCancelSessionResponseOk',
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'CompactCancelSessionResponseOk': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'CompactEuiccCancelSessionSigned', 'name': 'compactEuiccCancelSessionSigned'},
     {
      'type': 'OCTET STRING',
      'name': 'euiccCancelSessionSignature',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
    ],
   },
   'CompactEuiccCancelSessionSigned': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CancelSessionReason',
      'name': 'reason',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EsipaMessageFromIpaToEim': {
    'type': 'CHOICE',
    'members': [
     {'type': 'InitiateAuthenticationRequestEsipa', 'name': 'initiateAuthenticationRequestEsipa'},
     {'type': 'AuthenticateClientRequestEsipa', 'name': 'authenticateClientRequestEsipa'},
     {'type': 'GetBoundProfilePackageRequestEsipa', 'name': 'getBoundProfilePackageRequestEsipa'},
     {'type': 'CancelSessionRequestEsipa', 'name': 'cancelSessionRequestEsipa'},
     {'type': 'HandleNotificationEsipa', 'name': 'handleNotificationEsipa'},
     {'type': 'TransferEimPackageResponse', 'name': 'transferEimPackageResponse'},
     {'type': 'GetEimPackageRequest', 'name': 'getEimPackageRequest'},
     {'type': 'ProvideEimPackageResult', 'name': 'provideEimPackageResult'},
    ],
   },
   'EsipaMessageFromEimToIpa': {
    'type': 'CHOICE',
    'members': [
     {'type': 'InitiateAuthenticationResponseEsipa', 'name': 'initiateAuthenticationResponseEsipa'},
     {'type': 'AuthenticateClientResponseEsipa', 'name': 'authenticateClientResponseEsipa'},
     {'type': 'GetBoundProfilePackageResponseEsipa', 'name': 'getBoundProfilePackageResponseEsipa'},
     {'type': 'CancelSessionResponseEsipa', 'name': 'cancelSessionResponseEsipa'},
     {'type': 'TransferEimPackageRequest', 'name': 'transferEimPackageRequest'},
     {'type': 'GetEimPackageResponse', 'name': 'getEimPackageResponse'},
     {'type': 'ProvideEimPackageResultResponse', 'name': 'provideEimPackageResultResponse'},
    ],
   },
   'InitiateAuthenticationRequestEsipa': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'Octet16', 'name': 'euiccChallenge', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
     {'type': 'UTF8String', 'name': 'smdpAddress', 'optional': True, 'tag': {'number': 3, 'kind': 'IMPLICIT'}},
     {'type': 'EUICCInfo1', 'name': 'euiccInfo1', 'optional': True},
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 57, 'kind': 'IMPLICIT'},
   },
   'InitiateAuthenticationResponseEsipa': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'InitiateAuthenticationOkEsipa',
      'name': 'initiateAuthenticationOkEsipa',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'initiateAuthenticationErrorEsipa', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 57, 'kind': 'EXPLICIT'},
   },
   'InitiateAuthenticationOkEsipa': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'TransactionId',
      'name': 'transactionId',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'ServerSigned1', 'name': 'serverSigned1'},
     {
      'type': 'OCTET STRING',
      'name': 'serverSignature1',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'OCTET STRING', 'name': 'euiccCiPKIdentifierToBeUsed'},
     {'type': 'Certificate', 'name': 'serverCertificate'},
     {'type': 'UTF8String', 'name': 'matchingId', 'optional': True},
     {'type': 'CtxParams1', 'name': 'ctxParams1', 'optional': True, 'tag': {'number': 2, 'kind': 'EXPLICIT'}},
    ],
   },
   'AuthenticateClientRequestEsipa': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'AuthenticateServerResponse', 'name': 'authenticateServerResponse'},
    ],
    'tag': {'number': 59, 'kind': 'IMPLICIT'},
   },
   'AuthenticateClientResponseEsipa': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'AuthenticateClientOkDPEsipa',
      'name': 'authenticateClientOkDPEsipa',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'AuthenticateClientOkDSEsipa',
      'name': 'authenticateClientOkDSEsipa',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'authenticateClientErrorEsipa', 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 59, 'kind': 'EXPLICIT'},
   },
   'AuthenticateClientOkDPEsipa': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'TransactionId',
      'name': 'transactionId',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'StoreMetadataRequest', 'name': 'profileMetaData', 'optional': True},
     {'type': 'SmdpSigned2', 'name': 'smdpSigned2'},
     {
      'type': 'OCTET STRING',
      'name': 'smdpSignature2',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'Certificate', 'name': 'smdpCertificate'},
     {'type': 'Octet32', 'name': 'hashCc', 'optional': True},
    ],
   },
   'AuthenticateClientOkDSEsipa': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'ProfileDownloadTriggerRequest', 'name': 'profileDownloadTrigger', 'optional': True},
    ],
   },
   'GetBoundProfilePackageRequestEsipa': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'PrepareDownloadResponse', 'name': 'prepareDownloadResponse'},
    ],
    'tag': {'number': 58, 'kind': 'IMPLICIT'},
   },
   'GetBoundProfilePackageResponseEsipa': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'GetBoundProfilePackageOkEsipa',
      'name': 'getBoundProfilePackageOkEsipa',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'getBoundProfilePackageErrorEsipa', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 58, 'kind': 'EXPLICIT'},
   },
   'GetBoundProfilePackageOkEsipa': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'TransactionId',
      'name': 'transactionId',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'BoundProfilePackage', 'name': 'boundProfilePackage'},
    ],
   },
   'HandleNotificationEsipa': {
    'type': 'CHOICE',
    'members': [
     {'type': 'PendingNotification', 'name': 'pendingNotification', 'tag': {'number': 0, 'kind': 'EXPLICIT'}},
     {'type': 'ProvideEimPackageResult', 'name': 'provideEimPackageResult'},
    ],
    'tag': {'number': 61, 'kind': 'EXPLICIT'},
   },
   'CancelSessionRequestEsipa': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'CancelSessionResponseChoice',
      'name': 'cancelSessionResponse',
      'tag': {'number': 1, 'kind': 'EXPLICIT'},
     },
    ],
    'tag': {'number': 65, 'kind': 'IMPLICIT'},
   },
   'CancelSessionResponseEsipa': {
    'type': 'CHOICE',
    'members': [
     {'type': 'CancelSessionOk', 'name': 'cancelSessionOk', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'INTEGER', 'name': 'cancelSessionError', 'tag': {'number': 1, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 65, 'kind': 'EXPLICIT'},
   },
   'CancelSessionOk': {'type': 'SEQUENCE', 'members': []},
   'GetEimPackageRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'Octet16',
      'name': 'eidValue',
      'tag': {'number': 26, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'NULL', 'name': 'notifyStateChange', 'optional': True, 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {
      'type': 'StateChangeCause',
      'name': 'stateChangeCause',
      'optional': True,
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {'type': 'OCTET STRING', 'name': 'rPLMN', 'optional': True, 'tag': {'number': 2, 'kind': 'IMPLICIT'}},
    ],
    'tag': {'number': 79, 'kind': 'IMPLICIT'},
   },
   'GetEimPackageResponse': {
    'type': 'CHOICE',
    'members': [
     {'type': 'EuiccPackageRequest', 'name': 'euiccPackageRequest'},
     {'type': 'IpaEuiccDataRequest', 'name': 'ipaEuiccDataRequest'},
     {'type': 'ProfileDownloadTriggerRequest', 'name': 'profileDownloadTriggerRequest'},
     {'type': 'INTEGER', 'name': 'eimPackageError'},
    ],
    'tag': {'number': 79, 'kind': 'EXPLICIT'},
   },
   'ProvideEimPackageResult': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'Octet16',
      'name': 'eidValue',
      'optional': True,
      'tag': {'number': 26, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'EimPackageResult', 'name': 'eimPackageResult'},
    ],
    'tag': {'number': 80, 'kind': 'IMPLICIT'},
   },
   'ProvideEimPackageResultResponse': {
    'type': 'CHOICE',
    'members': [
     {'type': 'EimAcknowledgements', 'name': 'eimAcknowledgements'},
     {'type': 'SEQUENCE', 'members': [], 'name': 'emptyResponse'},
     {'type': 'INTEGER', 'name': 'provideEimPackageResultError'},
    ],
    'tag': {'number': 80, 'kind': 'EXPLICIT'},
   },
   'TransferEimPackageRequest': {
    'type': 'CHOICE',
    'members': [
     {'type': 'EuiccPackageRequest', 'name': 'euiccPackageRequest'},
     {'type': 'IpaEuiccDataRequest', 'name': 'ipaEuiccDataRequest'},
     {'type': 'EimAcknowledgements', 'name': 'eimAcknowledgements'},
     {'type': 'ProfileDownloadTriggerRequest', 'name': 'profileDownloadTriggerRequest'},
    ],
    'tag': {'number': 78, 'kind': 'EXPLICIT'},
   },
   'TransferEimPackageResponse': {
    'type': 'CHOICE',
    'members': [
     {'type': 'EuiccPackageResult', 'name': 'euiccPackageResult'},
     {
      'type': 'SEQUENCE',
      'members': [
       {'type': 'EuiccPackageResult', 'name': 'euiccPackageResult'},
       {
        'type': 'PendingNotificationList',
        'name': 'notificationList',
        'tag': {'number': 0, 'kind': 'IMPLICIT'},
       },
      ],
      'name': 'ePRAndNotifications',
     },
     {'type': 'IpaEuiccDataResponse', 'name': 'ipaEuiccDataResponse'},
     {'type': 'NULL', 'name': 'eimPackageReceived'},
     {
      'type': 'EimPackageReceivedWithCid',
      'name': 'eimPackageReceivedWithCid',
      'tag': {'number': 96, 'kind': 'IMPLICIT'},
     },
     {'type': 'INTEGER', 'name': 'eimPackageError'},
     {
      'type': 'EimPackageErrorWithCid',
      'name': 'eimPackageErrorWithCid',
      'tag': {'number': 97, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 78, 'kind': 'EXPLICIT'},
   },
   'EuiccPackageUnsignedErrorCode': {'type': 'INTEGER'},
   'ConfigureImmediateEnableResult': {'type': 'INTEGER'},
   'SetFallbackAttributeResult': {'type': 'INTEGER'},
   'UnsetFallbackAttributeResult': {'type': 'INTEGER'},
   'IpaEuiccDataErrorCode': {'type': 'INTEGER'},
   'IpaEuiccDataResponseError': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'IpaEuiccDataErrorCode', 'name': 'ipaEuiccDataErrorCode'},
    ],
   },
   'PendingNotificationList': {'type': 'SEQUENCE OF', 'element': {'type': 'PendingNotification'}},
   'EuiccPackageResultList': {'type': 'SEQUENCE OF', 'element': {'type': 'EuiccPackageResult'}},
   'ISDRProprietaryApplicationTemplateIoT': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'BIT STRING',
      'named-bits': True,
      'name': 'euiccConfiguration',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 1, 'class': 'PRIVATE', 'kind': 'IMPLICIT'},
   },
   'IpaeActivationRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'BIT STRING',
      'named-bits': True,
      'name': 'ipaeOption',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 66, 'kind': 'IMPLICIT'},
   },
   'IpaeActivationResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'ipaeActivationResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 66, 'kind': 'IMPLICIT'},
   },
   'ProfileInfo': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'Iccid', 'name': 'iccid', 'optional': True},
     {
      'type': 'OctetTo16',
      'name': 'isdpAid',
      'optional': True,
      'tag': {'number': 15, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {
      'type': 'ProfileState',
      'name': 'profileState',
      'optional': True,
      'tag': {'number': 112, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'profileNickname',
      'optional': True,
      'tag': {'number': 16, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'serviceProviderName',
      'optional': True,
      'tag': {'number': 17, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'profileName',
      'optional': True,
      'tag': {'number': 18, 'kind': 'IMPLICIT'},
     },
     {'type': 'IconType', 'name': 'iconType', 'optional': True, 'tag': {'number': 19, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'icon', 'optional': True, 'tag': {'number': 20, 'kind': 'IMPLICIT'}},
     {
      'type': 'ProfileClass',
      'name': 'profileClass',
      'optional': True,
      'tag': {'number': 21, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'NotificationConfigurationInformation'},
      'name': 'notificationConfigurationInfo',
      'optional': True,
      'tag': {'number': 22, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'OperatorId',
      'name': 'profileOwner',
      'optional': True,
      'tag': {'number': 23, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'DpProprietaryData',
      'name': 'dpProprietaryData',
      'optional': True,
      'tag': {'number': 24, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'PprIds',
      'name': 'profilePolicyRules',
      'optional': True,
      'tag': {'number': 25, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VendorSpecificExtension',
      'name': 'serviceSpecificDataStoredInEuicc',
      'optional': True,
      'tag': {'number': 34, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'BOOLEAN',
      'name': 'ecallIndication',
      'optional': True,
      'tag': {'number': 123, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'BOOLEAN',
      'name': 'fallbackAttribute',
      'default': False,
      'tag': {'number': 38, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'BOOLEAN',
      'name': 'fallbackAllowed',
      'optional': True,
      'tag': {'number': 103, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE',
      'members': [],
      'name': 'iotSpecificProfileInfo',
      'optional': True,
      'tag': {'number': 100, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 3, 'class': 'PRIVATE', 'kind': 'IMPLICIT'},
   },
   'UpdateMetadataRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'UTF8String',
      'name': 'serviceProviderName',
      'optional': True,
      'tag': {'number': 17, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'profileName',
      'optional': True,
      'tag': {'number': 18, 'kind': 'IMPLICIT'},
     },
     {'type': 'IconType', 'name': 'iconType', 'optional': True, 'tag': {'number': 19, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'icon', 'optional': True, 'tag': {'number': 20, 'kind': 'IMPLICIT'}},
     {
      'type': 'PprIds',
      'name': 'profilePolicyRules',
      'optional': True,
      'tag': {'number': 25, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VendorSpecificExtension',
      'name': 'serviceSpecificDataStoredInEuicc',
      'optional': True,
      'tag': {'number': 34, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'BOOLEAN',
      'name': 'fallbackAllowed',
      'optional': True,
      'tag': {'number': 103, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 42, 'kind': 'IMPLICIT'},
   },
   'StoreMetadataRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'Iccid', 'name': 'iccid'},
     {'type': 'UTF8String', 'name': 'serviceProviderName', 'tag': {'number': 17, 'kind': 'IMPLICIT'}},
     {'type': 'UTF8String', 'name': 'profileName', 'tag': {'number': 18, 'kind': 'IMPLICIT'}},
     {'type': 'IconType', 'name': 'iconType', 'optional': True, 'tag': {'number': 19, 'kind': 'IMPLICIT'}},
     {'type': 'OCTET STRING', 'name': 'icon', 'optional': True, 'tag': {'number': 20, 'kind': 'IMPLICIT'}},
     {'type': 'ProfileClass', 'name': 'profileClass', 'default': 2, 'tag': {'number': 21, 'kind': 'IMPLICIT'}},
     {
      'type': 'SEQUENCE OF',
      'element': {'type': 'NotificationConfigurationInformation'},
      'name': 'notificationConfigurationInfo',
      'optional': True,
      'tag': {'number': 22, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'OperatorId',
      'name': 'profileOwner',
      'optional': True,
      'tag': {'number': 23, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'PprIds',
      'name': 'profilePolicyRules',
      'optional': True,
      'tag': {'number': 25, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VendorSpecificExtension',
      'name': 'serviceSpecificDataStoredInEuicc',
      'optional': True,
      'tag': {'number': 34, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'VendorSpecificExtension',
      'name': 'serviceSpecificDataNotStoredInEuicc',
      'optional': True,
      'tag': {'number': 35, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'BOOLEAN',
      'name': 'ecallIndication',
      'optional': True,
      'tag': {'number': 123, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'BOOLEAN',
      'name': 'fallbackAllowed',
      'optional': True,
      'tag': {'number': 103, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'SEQUENCE',
      'members': [],
      'name': 'iotSpecificMetadata',
      'optional': True,
      'tag': {'number': 100, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 37, 'kind': 'IMPLICIT'},
   },
   'AuthenticateClientRequest': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'AuthenticateServerResponse', 'name': 'authenticateServerResponse'},
    ],
    'tag': {'number': 59, 'kind': 'IMPLICIT'},
   },
   'ImmediateEnableRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'BOOLEAN', 'name': 'refreshFlag', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 90, 'kind': 'IMPLICIT'},
   },
   'ImmediateEnableResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'immediateEnableResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 90, 'kind': 'IMPLICIT'},
   },
   'ConfigureImmediateProfileEnablingRequest': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'NULL',
      'name': 'immediateEnableFlag',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'OBJECT IDENTIFIER',
      'name': 'defaultSmdpOid',
      'optional': True,
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'UTF8String',
      'name': 'defaultSmdpAddress',
      'optional': True,
      'tag': {'number': 2, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 89, 'kind': 'IMPLICIT'},
   },
   'ConfigureImmediateProfileEnablingResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'configImmediateEnableResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 89, 'kind': 'IMPLICIT'},
   },
   'ExecuteFallbackMechanismRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'BOOLEAN', 'name': 'refreshFlag', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 93, 'kind': 'IMPLICIT'},
   },
   'ExecuteFallbackMechanismResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'executeFallbackMechanismResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 93, 'kind': 'IMPLICIT'},
   },
   'ReturnFromFallbackRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'BOOLEAN', 'name': 'refreshFlag', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 94, 'kind': 'IMPLICIT'},
   },
   'ReturnFromFallbackResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'returnFromFallbackResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 94, 'kind': 'IMPLICIT'},
   },
   'EnableEmergencyProfileRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'BOOLEAN', 'name': 'refreshFlag', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 91, 'kind': 'IMPLICIT'},
   },
   'EnableEmergencyProfileResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'enableEmergencyProfileResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 91, 'kind': 'IMPLICIT'},
   },
   'DisableEmergencyProfileRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'BOOLEAN', 'name': 'refreshFlag', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 92, 'kind': 'IMPLICIT'},
   },
   'DisableEmergencyProfileResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'disableEmergencyProfileResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 92, 'kind': 'IMPLICIT'},
   },
   'GetConnectivityParametersRequest': {'type': 'SEQUENCE', 'members': [], 'tag': {'number': 95, 'kind': 'IMPLICIT'}},
   'GetConnectivityParametersResponse': {
    'type': 'CHOICE',
    'members': [
     {
      'type': 'ConnectivityParameters',
      'name': 'connectivityParameters',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {
      'type': 'ConnectivityParametersError',
      'name': 'connectivityParametersError',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
    'tag': {'number': 95, 'kind': 'EXPLICIT'},
   },
   'ConnectivityParameters': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'OCTET STRING',
      'name': 'httpParams',
      'optional': True,
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'ConnectivityParametersError': {'type': 'INTEGER'},
   'SetDefaultDpAddressRequest': {
    'type': 'SEQUENCE',
    'members': [{'type': 'UTF8String', 'name': 'defaultDpAddress', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 101, 'kind': 'IMPLICIT'},
   },
   'SetDefaultDpAddressResponse': {
    'type': 'SEQUENCE',
    'members': [{'type': 'INTEGER', 'name': 'setDefaultDpAddressResult', 'tag': {'number': 0, 'kind': 'IMPLICIT'}}],
    'tag': {'number': 101, 'kind': 'IMPLICIT'},
   },
   'EuiccSigned1': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'TransactionId', 'name': 'transactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
     {'type': 'UTF8String', 'name': 'serverAddress', 'tag': {'number': 3, 'kind': 'IMPLICIT'}},
     {'type': 'Octet16', 'name': 'serverChallenge', 'tag': {'number': 4, 'kind': 'IMPLICIT'}},
     {'type': 'EUICCInfo2', 'name': 'euiccInfo2'},
     {'type': 'CtxParams1', 'name': 'ctxParams1'},
    ],
   },
   'AuthenticateResponseOk': {
    'type': 'SEQUENCE',
    'members': [
     {'type': 'EuiccSigned1', 'name': 'euiccSigned1'},
     {
      'type': 'OCTET STRING',
      'name': 'euiccSignature1',
      'tag': {'number': 55, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
     },
     {'type': 'Certificate', 'name': 'euiccCertificate'},
     {'type': 'Certificate', 'name': 'eumCertificate'},
    ],
   },
   'StateChangeCause': {'type': 'INTEGER'},
   'EimPackageResultErrorCode': {'type': 'INTEGER'},
   'EimPackageResultResponseError': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'TransactionId',
      'name': 'eimTransactionId',
      'optional': True,
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
     {'type': 'EimPackageResultErrorCode', 'name': 'eimPackageResultErrorCode'},
    ],
   },
   'EimPackageResult': {
    'type': 'CHOICE',
    'members': [
     {'type': 'EuiccPackageResult', 'name': 'euiccPackageResult'},
     {
      'type': 'SEQUENCE',
      'members': [
       {'type': 'EuiccPackageResult', 'name': 'euiccPackageResult'},
       {
        'type': 'PendingNotificationList',
        'name': 'notificationList',
        'tag': {'number': 0, 'kind': 'IMPLICIT'},
       },
      ],
      'name': 'ePRAndNotifications',
     },
     {'type': 'IpaEuiccDataResponse', 'name': 'ipaEuiccDataResponse'},
     {'type': 'ProfileDownloadTriggerResult', 'name': 'profileDownloadTriggerResult'},
     {
      'type': 'EimPackageResultResponseError',
      'name': 'eimPackageResultResponseError',
      'tag': {'number': 0, 'kind': 'IMPLICIT'},
     },
    ],
   },
   'EimPackageReceivedWithCid': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CHOICE',
      'members': [
       {'type': 'TransactionId', 'name': 'eimTransactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
       {
        'type': 'Octet16',
        'name': 'eidValue',
        'tag': {'number': 26, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
       },
      ],
      'name': 'correlationId',
      'optional': True,
      'tag': {'number': 0, 'kind': 'EXPLICIT'},
     },
    ],
   },
   'EimPackageErrorWithCid': {
    'type': 'SEQUENCE',
    'members': [
     {
      'type': 'CHOICE',
      'members': [
       {'type': 'TransactionId', 'name': 'eimTransactionId', 'tag': {'number': 0, 'kind': 'IMPLICIT'}},
       {
        'type': 'Octet16',
        'name': 'eidValue',
        'tag': {'number': 26, 'class': 'APPLICATION', 'kind': 'IMPLICIT'},
       },
      ],
      'name': 'correlationId',
      'optional': True,
      'tag': {'number': 0, 'kind': 'EXPLICIT'},
     },
     {
      'type': 'EimPackageResultErrorCode',
      'name': 'eimPackageError',
      'tag': {'number': 1, 'kind': 'IMPLICIT'},
     },
    ],
   },
  },
  'values': {},
  'object-classes': {},
 },
}

# Module -> path of a type or field -> names of values.
NUMBERS: dict[str, dict[str, dict[int, str]]] = {
 'PKIXCarried': {},
 'RSPDefinitions': {
  'RemoteOpId': {1: 'installBoundProfilePackage'},
  'EUICCInfo2.euiccCategory': {0: 'other', 1: 'basicEuicc', 2: 'mediumEuicc', 3: 'contactlessEuicc'},
  'ProfileInfoListError': {1: 'incorrectInputValues', 127: 'undefinedError'},
  'IconType': {0: 'jpg', 1: 'png'},
  'ProfileState': {0: 'disabled', 1: 'enabled'},
  'ProfileClass': {0: 'test', 1: 'provisioning', 2: 'operational'},
  'DownloadErrorCode': {
   1: 'invalidCertificate',
   2: 'invalidSignature',
   3: 'unsupportedCurve',
   4: 'noSessionContext',
   5: 'invalidTransactionId',
   127: 'undefinedError',
  },
  'AuthenticateErrorCode': {
   1: 'invalidCertificate',
   2: 'invalidSignature',
   3: 'unsupportedCurve',
   4: 'noSessionContext',
   5: 'invalidOid',
   6: 'euiccChallengeMismatch',
   7: 'ciPKUnknown',
   127: 'undefinedError',
  },
  'CancelSessionReason': {
   0: 'endUserRejection',
   1: 'postponed',
   2: 'timeout',
   3: 'pprNotAllowed',
   4: 'metadataMismatch',
   5: 'loadBppExecutionError',
   127: 'undefinedReason',
  },
  'CancelSessionResponseChoice.cancelSessionResponseError': {5: 'invalidTransactionId', 127: 'undefinedError'},
  'BppCommandId': {
   0: 'initialiseSecureChannel',
   1: 'configureISDP',
   2: 'storeMetadata',
   3: 'storeMetadata2',
   4: 'replaceSessionKeys',
   5: 'loadProfileElements',
  },
  'ErrorReason': {
   1: 'incorrectInputValues',
   2: 'invalidSignature',
   3: 'invalidTransactionId',
   4: 'unsupportedCrtValues',
   5: 'unsupportedRemoteOperationType',
   6: 'unsupportedProfileClass',
   7: 'scp03tStructureError',
   8: 'scp03tSecurityError',
   9: 'installFailedDueToIccidAlreadyExistsOnEuicc',
   10: 'installFailedDueToInsufficientMemoryForProfile',
   11: 'installFailedDueToInterruption',
   12: 'installFailedDueToPEProcessingError',
   13: 'installFailedDueToDataMismatch',
   14: 'testProfileInstallFailedDueToInvalidNaaKey',
   15: 'pprNotAllowed',
   127: 'installFailedDueToUnknownError',
  },
  'ListNotificationResponse.listNotificationsResultError': {127: 'undefinedError'},
  'SetNicknameResponse.setNicknameResult': {0: 'ok', 1: 'iccidNotFound', 127: 'undefinedError'},
  'RetrieveNotificationsListResponse.notificationsListResultError': {127: 'undefinedError'},
  'NotificationSentResponse.deleteNotificationStatus': {0: 'ok', 1: 'nothingToDelete', 127: 'undefinedError'},
  'EnableProfileResponse.enableResult': {
   0: 'ok',
   1: 'iccidOrAidNotFound',
   2: 'profileNotInDisabledState',
   3: 'disallowedByPolicy',
   4: 'wrongProfileReenabling',
   5: 'catBusy',
   127: 'undefinedError',
  },
  'DisableProfileResponse.disableResult': {
   0: 'ok',
   1: 'iccidOrAidNotFound',
   2: 'profileNotInEnabledState',
   3: 'disallowedByPolicy',
   5: 'catBusy',
   127: 'undefinedError',
  },
  'DeleteProfileResponse.deleteResult': {
   0: 'ok',
   1: 'iccidOrAidNotFound',
   2: 'profileNotInDisabledState',
   3: 'disallowedByPolicy',
   127: 'undefinedError',
  },
  'EuiccMemoryResetResponse.resetResult': {0: 'ok', 1: 'nothingToDelete', 5: 'catBusy', 127: 'undefinedError'},
  'LoadCRLResponseError': {
   1: 'invalidSignature',
   2: 'invalidCRLFormat',
   3: 'notEnoughMemorySpace',
   4: 'verificationKeyNotFound',
   5: 'fresherCrlAlreadyLoaded',
   6: 'baseCrlMissing',
   127: 'undefinedError',
  },
  'InitiateAuthenticationResponse.initiateAuthenticationError': {1: 'invalidDpAddress', 2: 'euiccVersionNotSupportedByDp', 3: 'ciPKNotSupported'},
  'AuthenticateClientResponseEs9.authenticateClientError': {
   1: 'eumCertificateInvalid',
   2: 'eumCertificateExpired',
   3: 'euiccCertificateInvalid',
   4: 'euiccCertificateExpired',
   5: 'euiccSignatureInvalid',
   6: 'matchingIdRefused',
   7: 'eidMismatch',
   8: 'noEligibleProfile',
   9: 'ciPKUnknown',
   10: 'invalidTransactionId',
   11: 'insufficientMemory',
   127: 'undefinedError',
  },
  'GetBoundProfilePackageResponse.getBoundProfilePackageError': {
   1: 'euiccSignatureInvalid',
   2: 'confirmationCodeMissing',
   3: 'confirmationCodeRefused',
   4: 'confirmationCodeRetriesExceeded',
   5: 'bppRebindingRefused',
   6: 'downloadOrderExpired',
   95: 'invalidTransactionId',
   127: 'undefinedError',
  },
  'CancelSessionResponseEs9.cancelSessionError': {1: 'invalidTransactionId', 2: 'euiccSignatureInvalid', 127: 'undefinedError'},
  'LpaeActivationResponse.lpaeActivationResult': {0: 'ok', 1: 'notSupported'},
  'SetDefaultDpAddressResponse.setDefaultDpAddressResult': {0: 'ok', 127: 'undefinedError'},
  'AuthenticateClientResponseEs11.authenticateClientError': {
   1: 'eumCertificateInvalid',
   2: 'eumCertificateExpired',
   3: 'euiccCertificateInvalid',
   4: 'euiccCertificateExpired',
   5: 'euiccSignatureInvalid',
   6: 'eventIdUnknown',
   7: 'invalidTransactionId',
   127: 'undefinedError',
  },
 },
 'SGP32Definitions': {
  'EimIdType': {1: 'eimIdTypeOid', 2: 'eimIdTypeFqdn', 3: 'eimIdTypeProprietary'},
  'EuiccResultData.processingTerminated': {1: 'resultSizeOverflow', 2: 'unknownOrDamagedCommand', 3: 'interruption', 127: 'undefinedError'},
  'EuiccPackageErrorCode': {
   3: 'invalidEid',
   4: 'replayError',
   6: 'counterValueOutOfRange',
   15: 'sizeOverflow',
   104: 'ecallActive',
   127: 'undefinedError',
  },
  'EnableProfileResult': {
   0: 'ok',
   1: 'iccidOrAidNotFound',
   2: 'profileNotInDisabledState',
   3: 'disallowedByPolicy',
   5: 'catBusy',
   20: 'rollbackNotAvailable',
   127: 'undefinedError',
  },
  'DisableProfileResult': {
   0: 'ok',
   1: 'iccidOrAidNotFound',
   2: 'profileNotInEnabledState',
   3: 'disallowedByPolicy',
   5: 'catBusy',
   127: 'undefinedError',
  },
  'DeleteProfileResult': {
   0: 'ok',
   1: 'iccidOrAidNotFound',
   2: 'profileNotInDisabledState',
   3: 'disallowedByPolicy',
   20: 'rollbackNotAvailable',
   21: 'returnFallbackProfile',
   127: 'undefinedError',
  },
  'ProfileInfoListError': {1: 'incorrectInputValues', 11: 'profileChangeOngoing', 127: 'undefinedError'},
  'RollbackProfileResult': {0: 'ok', 127: 'undefinedError'},
  'AddEimResult.addEimResultCode': {
   0: 'ok',
   1: 'insufficientMemory',
   2: 'associatedEimAlreadyExists',
   3: 'ciPKUnknown',
   5: 'invalidAssociationToken',
   6: 'counterValueOutOfRange',
   7: 'commandError',
   127: 'undefinedError',
  },
  'DeleteEimResult': {0: 'ok', 1: 'eimNotFound', 2: 'lastEimDeleted', 7: 'commandError', 127: 'undefinedError'},
  'UpdateEimResult': {
   0: 'ok',
   1: 'eimNotFound',
   3: 'ciPKUnknown',
   6: 'counterValueOutOfRange',
   7: 'commandError',
   127: 'undefinedError',
  },
  'ListEimResult.listEimError': {127: 'undefinedError'},
  'ProfileDownloadTriggerResult.profileDownloadTriggerResultData.profileDownloadError.profileDownloadErrorReason': {104: 'ecallActive', 127: 'undefinedError'},
  'EUICCInfo2.euiccCategory': {0: 'other', 1: 'basicEuicc', 2: 'mediumEuicc', 3: 'contactlessEuicc'},
  'IpaMode': {0: 'ipad', 1: 'ipae'},
  'AddInitialEimResponse.addInitialEimError': {
   1: 'insufficientMemory',
   2: 'associatedEimAlreadyExists',
   3: 'ciPKUnknown',
   5: 'invalidAssociationToken',
   6: 'counterValueOutOfRange',
   7: 'commandError',
   127: 'undefinedError',
  },
  'EuiccMemoryResetResponse.resetResult': {0: 'ok', 1: 'nothingToDelete', 5: 'catBusy', 104: 'ecallActive', 127: 'undefinedError'},
  'EuiccMemoryResetResponse.resetEimResult': {0: 'ok', 1: 'nothingToDelete', 2: 'eimResetNotSupported', 127: 'undefinedError'},
  'EuiccMemoryResetResponse.resetImmediateEnableConfigResult': {0: 'ok', 1: 'resetIECNotSupported', 127: 'undefinedError'},
  'GetCertsResponse.getCertsError': {1: 'invalidCiPKId', 127: 'undfinedError'},
  'RetrieveNotificationsListResponse.notificationsListResultError': {127: 'undefinedError'},
  'ProfileRollbackResponse.cmdResult': {0: 'ok', 1: 'rollbackNotAllowed', 5: 'catBusy', 7: 'commandError', 127: 'undefinedError'},
  'CancelSessionResponseChoice.cancelSessionResponseError': {5: 'invalidTransactionId', 127: 'undefinedError'},
  'InitiateAuthenticationResponseEsipa.initiateAuthenticationErrorEsipa': {
   1: 'invalidDpAddress',
   2: 'euiccVersionNotSupportedByDp',
   3: 'ciPKIdNotSupported',
   50: 'smdpAddressMismatch',
   51: 'smdpOidMismatch',
   52: 'invalidEimTransactionId',
   127: 'undefinedError',
  },
  'AuthenticateClientResponseEsipa.authenticateClientErrorEsipa': {
   1: 'eumCertificateInvalid',
   2: 'eumCertificateExpired',
   3: 'euiccCertificateInvalid',
   4: 'euiccCertificateExpired',
   5: 'euiccSignatureInvalid',
   6: 'matchingIdRefused',
   7: 'eidMismatch',
   8: 'noEligibleProfile',
   9: 'ciPKUnknown',
   10: 'invalidTransactionId',
   11: 'insufficientMemory',
   18: 'downloadOrderExpired',
   50: 'pprNotAllowed',
   56: 'eventIdUnknown',
   127: 'undefinedError',
  },
  'GetBoundProfilePackageResponseEsipa.getBoundProfilePackageErrorEsipa': {
   1: 'euiccSignatureInvalid',
   2: 'confirmationCodeMissing',
   3: 'confirmationCodeRefused',
   4: 'confirmationCodeRetriesExceeded',
   5: 'bppRebindingRefused',
   6: 'deprecated',
   50: 'metadataMismatch',
   95: 'invalidTransactionId',
   127: 'undefinedError',
  },
  'CancelSessionResponseEsipa.cancelSessionError': {1: 'invalidTransactionId', 2: 'euiccSignatureInvalid', 127: 'undefinedError'},
  'GetEimPackageResponse.eimPackageError': {1: 'noEimPackageAvailable', 2: 'eidNotFound', 3: 'invalidEid', 4: 'missingEid', 127: 'undefinedError'},
  'ProvideEimPackageResultResponse.provideEimPackageResultError': {2: 'eidNotFound', 3: 'invalidEid', 4: 'missingEid', 127: 'undefinedError'},
  'TransferEimPackageResponse.eimPackageError': {1: 'invalidPackageFormat', 2: 'unknownPackage', 127: 'undefinedError'},
  'EuiccPackageUnsignedErrorCode': {15: 'sizeOverflow', 127: 'undefinedError'},
  'ConfigureImmediateEnableResult': {0: 'ok', 1: 'insufficientMemory', 7: 'commandError', 127: 'undefinedError'},
  'SetFallbackAttributeResult': {
   0: 'ok',
   1: 'iccidOrAidNotFound',
   2: 'fallbackNotAllowed',
   3: 'fallbackProfileEnabled',
   127: 'undefinedError',
  },
  'UnsetFallbackAttributeResult': {0: 'ok', 2: 'noFallbackAttribute', 3: 'fallbackProfileEnabled', 7: 'commandError', 127: 'undefinedError'},
  'IpaEuiccDataErrorCode': {1: 'incorrectTagList', 5: 'euiccCiPKIdNotFound', 104: 'ecallActive', 127: 'undefinedError'},
  'IpaeActivationResponse.ipaeActivationResult': {0: 'ok', 1: 'notSupported'},
  'ImmediateEnableResponse.immediateEnableResult': {0: 'ok', 1: 'immediateEnableNotAvailable', 4: 'noSessionContext', 5: 'catBusy', 127: 'undefinedError'},
  'ConfigureImmediateProfileEnablingResponse.configImmediateEnableResult': {0: 'ok', 1: 'insufficientMemory', 2: 'associatedEimAlreadyExists', 127: 'undefinedError'},
  'ExecuteFallbackMechanismResponse.executeFallbackMechanismResult': {
   0: 'ok',
   2: 'profileNotInDisabledState',
   5: 'catBusy',
   6: 'fallbackNotAvailable',
   7: 'commandError',
   104: 'ecallActive',
   127: 'undefinedError',
  },
  'ReturnFromFallbackResponse.returnFromFallbackResult': {0: 'ok', 5: 'catBusy', 6: 'fallbackNotAvailable', 7: 'commandError', 127: 'undefinedError'},
  'EnableEmergencyProfileResponse.enableEmergencyProfileResult': {0: 'ok', 2: 'profileNotInDisabledState', 5: 'catBusy', 8: 'ecallNotAvailable', 127: 'undefinedError'},
  'DisableEmergencyProfileResponse.disableEmergencyProfileResult': {0: 'ok', 2: 'profileNotInEnabledState', 5: 'catBusy', 8: 'ecallNotAvailable', 127: 'undefinedError'},
  'ConnectivityParametersError': {1: 'parametersNotAvailable', 127: 'undefinedError'},
  'SetDefaultDpAddressResponse.setDefaultDpAddressResult': {0: 'ok', 127: 'undefinedError'},
  'StateChangeCause': {
   0: 'otherEim',
   1: 'fallback',
   2: 'emergencyProfile',
   3: 'local',
   4: 'reset',
   5: 'immediateEnableProfile',
   6: 'deviceChange',
   127: 'undefined',
  },
  'EimPackageResultErrorCode': {1: 'invalidPackageFormat', 2: 'unknownPackage', 127: 'undefinedError'},
 },
}

# Module -> path of a type or field -> names of bits.
BITS: dict[str, dict[str, dict[int, str]]] = {
 'PKIXCarried': {},
 'RSPDefinitions': {
  'EUICCInfo2.treProperties': {0: 'isDiscrete', 1: 'isIntegrated', 2: 'usesRemoteMemory'},
  'RspCapability': {
   0: 'additionalProfile',
   1: 'crlSupport',
   2: 'rpmSupport',
   3: 'testProfileSupport',
   4: 'deviceInfoExtensibilitySupport',
   5: 'serviceSpecificDataSupport',
  },
  'UICCCapability': {
   0: 'contactless',
   1: 'usim',
   2: 'isim',
   3: 'csim',
   4: 'akaMilenage',
   5: 'akaCave',
   6: 'akaTuak128',
   7: 'akaTuak256',
   8: 'usimTestAlgorithm',
   9: 'rfu',
   10: 'gbaAuthenUsim',
   11: 'gbaAuthenISim',
   12: 'mbmsAuthenUsim',
   13: 'eapClient',
   14: 'javacard',
   15: 'multos',
   16: 'multipleUsim',
   17: 'multipleIsim',
   18: 'multipleCsim',
   19: 'berTlvFile',
   20: 'dfLink',
   21: 'catTp',
   22: 'getIdentity',
   23: 'profile-a-x25519',
   24: 'profile-b-p256',
   25: 'suciCalculatorApi',
   26: 'dns-resolution',
   27: 'scp11ac',
   28: 'scp11c-authorization',
   29: 's16mode',
   30: 'eaka',
   31: 'iotminimal',
  },
  'CertificateInfo': {0: 'reserved', 1: 'certSigningX509', 2: 'rfu2', 3: 'rfu3', 4: 'reserved2', 5: 'certVerificationX509'},
  'PprIds': {0: 'pprUpdateControl', 1: 'ppr1', 2: 'ppr2'},
  'NotificationEvent': {0: 'notificationInstall', 1: 'notificationEnable', 2: 'notificationDisable', 3: 'notificationDelete'},
  'EuiccMemoryResetRequest.resetOptions': {0: 'deleteOperationalProfiles', 1: 'deleteFieldLoadedTestProfiles', 2: 'resetDefaultSmdpAddress'},
  'ProfilePolicyAuthorisationRule.pprFlags': {0: 'consentRequired'},
  'ISDRProprietaryApplicationTemplate.lpaeSupport': {0: 'lpaeUsingCat', 1: 'lpaeUsingScws'},
  'LpaeActivationRequest.lpaeOption': {0: 'activateCatBasedLpae', 1: 'activateScwsBasedLpae'},
 },
 'SGP32Definitions': {
  'EimSupportedProtocol': {
   0: 'eimRetrieveHttps',
   1: 'eimRetrieveCoaps',
   2: 'eimInjectHttps',
   3: 'eimInjectCoaps',
   4: 'eimProprietary',
  },
  'IpaCapabilities.ipaFeatures': {
   0: 'directRspServerCommunication',
   1: 'indirectRspServerCommunication',
   2: 'eimDownloadDataHandling',
   3: 'eimCtxParams1Generation',
   4: 'eimProfileMetadataVerification',
   5: 'minimizeEsipaBytes',
  },
  'IpaCapabilities.ipaSupportedProtocols': {
   0: 'ipaRetrieveHttps',
   1: 'ipaRetrieveCoaps',
   2: 'ipaInjectHttps',
   3: 'ipaInjectCoaps',
   4: 'ipaProprietary',
  },
  'EUICCInfo2.treProperties': {0: 'isDiscrete', 1: 'isIntegrated', 2: 'usesRemoteMemory'},
  'EuiccMemoryResetRequest.resetOptions': {
   0: 'deleteOperationalProfiles',
   1: 'deleteFieldLoadedTestProfiles',
   2: 'resetDefaultSmdpAddress',
   3: 'deletePreLoadedTestProfiles',
   4: 'deleteProvisioningProfiles',
   5: 'resetEimConfigData',
   6: 'resetImmediateEnableConfig',
  },
  'ISDRProprietaryApplicationTemplateIoT.euiccConfiguration': {0: 'ipaeSupported', 1: 'enabledProfile'},
  'IpaeActivationRequest.ipaeOption': {0: 'activateIpae'},
 },
}
