"""The IMS dialect: the wire protocol of Intelligent Media Services, product ICE, version 2020-11-09."""
